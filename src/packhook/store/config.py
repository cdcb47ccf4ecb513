"""Hold what an operator decides about a store."""

from typing import Final

from msgspec import Struct


class StoreConfig(Struct, frozen=True, kw_only=True):
    """Configure a store; its connections carry this to the work.

    ``require_verification``: deliveries of webhooks that await verification are not leased.
    """

    require_verification: bool = False


DEFAULT: Final = StoreConfig()
