"""Parse pages: strictly, so that a tag which is not closed fails the test."""

from html.parser import HTMLParser
from typing import Final

_VOID: Final = {"area", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}
_FORM_FIELDS: Final = {"input", "select", "textarea", "button"}


class Element:
    """Hold an element: its name, attributes, and all text within it."""

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name = name
        self.attributes = attributes
        self.text = ""
        self.inner: list[Element] = []


class Document(HTMLParser):
    """Hold the elements of a page, in their order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self._texts: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == [], f"not closed: {[element.name for element in self._open]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element."""
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        for outer in self._open:
            outer.inner.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Add an element of SVG that closes itself."""
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost element, which must be this one."""
        assert self._open, f"</{tag}> closes nothing"
        assert self._open[-1].name == tag, f"</{tag}> closes <{self._open[-1].name}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        """Add text to the elements that are open."""
        self._texts.append(data)
        for element in self._open:
            element.text += data

    def all(self, name: str, **attributes: str) -> list[Element]:
        """Return the elements with this name and these attributes; ``class_`` is one of the classes."""
        wanted = dict(attributes)
        of_class = wanted.pop("class_", None)
        return [
            element
            for element in self.elements
            if element.name == name
            and all(element.attributes.get(key) == value for key, value in wanted.items())
            and (of_class is None or of_class in element.attributes.get("class", "").split())
        ]

    def text(self) -> str:
        """Return the texts of the page, with one space between them."""
        return " ".join(" ".join(self._texts).split())

    def form(self, action: str) -> dict[str, str | list[str]]:
        """Return what a browser would send of the form that leads to ``action``, without its buttons."""
        form = self.all("form", action=action, method="post")[0]
        fields: dict[str, str | list[str]] = {}
        for field in form.inner:
            name, kind = field.attributes.get("name", ""), field.attributes.get("type", "")
            if field.name not in _FORM_FIELDS or field.name == "button" or not name:
                continue
            if kind in ("checkbox", "radio") and "checked" not in field.attributes:
                continue
            fields[name] = _value(field)
        return fields


def _value(field: Element) -> str:
    if field.name == "textarea":
        return field.text
    if field.name == "select":
        options = [option for option in field.inner if option.name == "option"]
        chosen = [option for option in options if "selected" in option.attributes] or options[:1]
        return chosen[0].attributes.get("value", chosen[0].text) if chosen else ""
    return field.attributes.get("value", "on" if field.attributes.get("type") == "checkbox" else "")
