"""Make the documented JSON Schema of a Struct: the one that its decoder checks data against."""

from typing import Any

import msgspec
from msgspec import Struct


def schema_of(of: type[Struct]) -> dict[str, Any]:
    """Return the schema, with what it refers to in ``$defs``; without defaults: an absent member has no value."""
    (_,), definitions = msgspec.json.schema_components((of,), ref_template="#/$defs/{name}")
    for schema in definitions.values():
        for member in schema.get("properties", {}).values():
            member.pop("default", None)
    top = definitions.pop(of.__name__)
    return {**top, "$defs": definitions} if definitions else top
