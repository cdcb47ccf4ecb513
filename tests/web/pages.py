"""Name every page of the dashboard, for the tests that walk all of them."""

from typing import Final

from web.sample import Shop

PAGES: Final = (
    "",
    "?range=1h",
    "?range=7d",
    "/organizations",
)
"""Addresses below ``/dashboard``; a name in braces is a field of the shop."""


def address(page: str, shop: Shop) -> str:
    """Return the address of a page."""
    return "/dashboard" + page.format(shop=shop)
