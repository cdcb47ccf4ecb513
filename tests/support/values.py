"""Values with something changed."""

from typing import Any, TypeVar

import msgspec

N = TypeVar("N")


def replaced(noun: N, **changes: Any) -> N:  # noqa: ANN401 any of its parts
    """Return another value of its kind, the same but for these parts."""
    return msgspec.structs.replace(noun, **changes)  # type: ignore[type-var] # every noun is a Struct
