"""Replace what no database can hold in a text, and no JSON: NUL, and half a character (a lone surrogate)."""

import re
from typing import Final

_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
_HALF: Final = re.compile("[\ud800-\udfff]")


def replace_unstorable(text: str) -> str:
    """Return the text with both replaced."""
    return replace_half(text).replace("\0", _REPLACEMENT)


def replace_half(text: str) -> str:
    """Return the text with halves of characters replaced; NUL stays, which JSON escapes."""
    return text if text.isascii() else _HALF.sub(_REPLACEMENT, text)
