"""From a form to the API's own schemas: what a form may hold is decided once, where the API decides it."""

from collections.abc import Mapping
from typing import TypeVar

import msgspec
from pydantic import BaseModel

from packhook.api.requests import parse_shape
from packhook.web.visit import Visit

S = TypeVar("S", bound=BaseModel)


def read_inputs(visit: Visit, shape: type[S], values: Mapping[str, object]) -> S:
    """Return the values of a form as the API's schema. Empty texts count as absent. Raises InvalidInput."""
    given = {name: value for name, value in values.items() if value not in ("", None)}
    context = {"settings": visit.settings, "now": visit.now}
    return parse_shape(msgspec.json.encode(given), shape, context=context)
