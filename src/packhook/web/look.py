"""Whose site it is: name, logo and colour, packhook's own or those that the operator set for the portal."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from packhook.settings import Settings


@dataclass(frozen=True, slots=True)
class Look:
    """Hold a site's name, the URL of its logo ("": packhook's), and its colour as ``#rrggbb`` ("": packhook's)."""

    name: str
    logo_url: str = ""
    color: str = ""

    @classmethod
    def of(cls, settings: Settings) -> "Look":
        """Return the look of the portal."""
        return cls(settings.portal_name or PACKHOOK.name, settings.portal_logo_url, settings.portal_color)

    @property
    def logo_origin(self) -> str:
        """Return the origin that the logo is loaded from; "" without one."""
        parts = urlsplit(self.logo_url)
        return f"{parts.scheme}://{parts.netloc}" if self.logo_url else ""

    @property
    def styles(self) -> bytes:
        """Return the styles of the colour, with text on it that can be read; b"" without a colour."""
        if not self.color:
            return b""
        on_color = "#fff" if _contrast(self.color, 1.0) >= _contrast(self.color, 0.0) else "#000"
        return (
            f":root {{ --brand: {self.color}; --on-brand: {on_color}; }}\n"
            "button.main, .btn.main { background: var(--brand); border-color: var(--brand); color: var(--on-brand); }\n"
            ".app { border-top: 3px solid var(--brand); }\n"
        ).encode()


def _contrast(color: str, other: float) -> float:
    """Return the contrast of a colour and a grey of this luminance (WCAG 2.2)."""
    lighter, darker = max(own := _luminance(color), other), min(own, other)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


PACKHOOK: Final = Look("packhook")
