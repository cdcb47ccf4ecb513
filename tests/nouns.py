"""Values with something changed, Structs or, where packhook is compiled, the plain classes written out for them."""

from typing import Any, TypeVar

N = TypeVar("N")


def replaced(noun: N, **changes: Any) -> N:  # noqa: ANN401 any of its parts
    """Another one of its kind, the same but for these parts."""
    kind: Any = type(noun)
    made: N = kind(**{name: getattr(noun, name) for name in kind.__struct_fields__} | changes)
    return made
