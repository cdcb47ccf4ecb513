"""Change frozen values."""

from typing import Any, TypeVar

import msgspec

V = TypeVar("V")


def replaced(value: V, **changes: Any) -> V:  # noqa: ANN401 any field
    """Return a copy of the value with these fields changed."""
    return msgspec.structs.replace(value, **changes)  # type: ignore[type-var] # every value is a Struct
