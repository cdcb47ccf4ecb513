"""Write the pictures of the dashboard that the README and the how-to show: ``make screenshots``."""

import tempfile
from pathlib import Path
from typing import Final

from web.chromium import chromium, signed_in
from web.pages import address
from web.served import serving

IMAGES: Final = Path(__file__).parents[2] / "docs/images"
PICTURES: Final = {
    "overview": ("", "light", 1_010),
    "webhook-dark": ("/organizations/northwind/webhooks/{shop.failing.id}", "dark", 860),
    "delivery": ("/organizations/northwind/deliveries/{shop.failed_delivery}", "light", 900),
}
"""The page of each picture, how it is looked at, and the height in pixels."""


def main() -> None:
    """Write each picture, of the same shop at the same time."""
    IMAGES.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="packhook-pictures-") as folder,
        serving(Path(folder), hostile=False) as served,
        chromium() as browser,
    ):
        for name, (page_name, view, height) in PICTURES.items():
            context, page, _ = signed_in(browser, served.url, view)
            page.set_viewport_size({"width": 1_180, "height": height})
            page.goto(address(page_name, served.shop))
            page.screenshot(path=IMAGES / f"{name}.png")
            context.close()
            print(f"wrote docs/images/{name}.png")  # noqa: T201 a tool of the checkout


if __name__ == "__main__":
    main()
