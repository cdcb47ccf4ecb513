"""From a form to the API's own schemas: what a form may hold is decided once, where the API decides it."""

from collections.abc import Mapping
from typing import TypeVar

import msgspec
from pydantic import BaseModel

from packhook.api.requests import parse_shape
from packhook.api.schemas.events import CATALOGUE
from packhook.web.visit import Visit

S = TypeVar("S", bound=BaseModel)


def read_inputs(visit: Visit, shape: type[S], values: Mapping[str, object], *, keep_empty: bool = False) -> S:
    """Return the values of a form as the API's schema. Raises InvalidInput.

    What is empty counts as absent, unless ``keep_empty``: then an empty text, list or map removes what was set.
    """
    given = values if keep_empty else {name: value for name, value in values.items() if value not in ("", [], {})}
    context = {"settings": visit.settings, "now": visit.now, CATALOGUE: visit.event_types}
    return parse_shape(msgspec.json.encode(given), shape, context=context)
