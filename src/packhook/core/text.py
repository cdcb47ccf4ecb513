"""Make text from outside safe for a terminal."""

import json
from collections.abc import Callable


def visible(text: str) -> str:
    """Escape what is not printable: control characters, line breaks, bidirectional and other format characters."""
    return _escaped(text, lambda char: char.encode("unicode_escape").decode("ascii"))


def visible_lines(text: str) -> str:
    """Escape the same, but for line breaks."""
    return "\n".join(map(visible, text.split("\n")))


def visible_json(document: str) -> str:
    """Escape the same in JSON, on one line. The value stays the same: raw line breaks stand between tokens only."""
    return _escaped(document, lambda char: " " if char in "\n\r\t" else json.dumps(char)[1:-1])


def visible_document(document: str) -> str:
    """Escape the same in JSON, but for its line breaks. The value stays the same."""
    return "\n".join(_escaped(line, lambda char: json.dumps(char)[1:-1]) for line in document.split("\n"))


def _escaped(text: str, escape: Callable[[str], str]) -> str:
    return text if text.isprintable() else "".join(char if char.isprintable() else escape(char) for char in text)
