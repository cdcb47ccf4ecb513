"""Hold what an operator decides about a store."""

from typing import Final

from msgspec import Struct

from packhook.core.clock import DAY


class StoreConfig(Struct, frozen=True, kw_only=True):
    """Configure a store; its connections carry this to the work.

    ``require_verification``: deliveries of webhooks that await verification are not leased. ``disable_after``: when a
    failing webhook is disabled, which warnings of it say. ``operator_organization`` gets a copy of each operational
    event; "" is none.
    """

    require_verification: bool = False
    disable_after: int = 5 * DAY
    operator_organization: str = ""


DEFAULT: Final = StoreConfig()
