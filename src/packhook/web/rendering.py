"""Render templates: escape everything, offer the formats of ``formats.py``, and never fail on a foreign character."""

from importlib.resources import files
from typing import Final

from jinja2 import Environment, FunctionLoader, StrictUndefined, select_autoescape

from packhook import __version__
from packhook.core.clock import to_rfc3339
from packhook.web import charts, formats
from packhook.web.static import StaticFiles

_TEMPLATES: Final = files("packhook.web").joinpath("templates")


def _source(name: str) -> str:
    return _TEMPLATES.joinpath(name).read_text("utf-8")


class Renderer:
    """Render the templates of ``web/templates``, which are compiled at once."""

    def __init__(self, static: StaticFiles) -> None:
        self._environment = Environment(
            loader=FunctionLoader(_source),
            autoescape=select_autoescape(default=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals |= {"static": static.address, "charts": charts, "version": __version__}
        self._environment.filters |= formats.FILTERS | {"rfc3339": to_rfc3339}
        for file in _TEMPLATES.iterdir():
            if file.name.endswith(".html"):
                self._environment.get_template(file.name)

    def render(self, template: str, **values: object) -> str:
        """Return the template with these values, as HTML that any encoding can carry."""
        html = self._environment.get_template(template).render(values)
        return html.encode("utf-8", "replace").decode()
