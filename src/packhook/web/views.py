"""How a page shows JSON: pretty, or byte for byte; the name stands in the address."""

from typing import Final

from packhook.web.visit import Visit

PRETTY, RAW = "pretty", "raw"
VIEWS: Final = (PRETTY, RAW)


def chosen_view(visit: Visit) -> str:
    """Return the view in the address; pretty if there is none."""
    return RAW if visit.query("view") == RAW else PRETTY
