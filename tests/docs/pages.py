"""Read the documentation: pages, headings, tables, code blocks and links."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
PAGES: Final = (ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "SECURITY.md", *sorted(DOCS.rglob("*.md")))

_FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING: Final = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


class Section(NamedTuple):
    """Hold the text under one heading, up to the next heading of any level."""

    level: int
    title: str
    text: str


def read(page: str) -> str:
    """Return the text of a page below docs/."""
    return (DOCS / page).read_text("utf-8")


def prose(text: str) -> str:
    """Return the text without code blocks."""
    return _FENCE.sub("", text)


def blocks(text: str, language: str) -> list[str]:
    """Return the code blocks in this language."""
    return [code for name, code in _FENCE.findall(text) if name == language]


def sections(text: str) -> list[Section]:
    """Return every section in order. Code blocks are ignored for headings and kept in the texts."""
    blank = _FENCE.sub(lambda fence: re.sub(r"[^\n]", " ", fence[0]), text)
    found = list(_HEADING.finditer(blank))
    ends = [heading.start() for heading in found[1:]] + [len(text)]
    return [
        Section(len(heading[1]), heading[2].strip(), text[heading.end() : end])
        for heading, end in zip(found, ends, strict=True)
    ]


def below(text: str, title: str) -> list[Section]:
    """Return the sections below the section of this title, down to the next one of its level."""
    found: list[Section] = []
    level = 0
    for section in sections(text):
        if level and section.level <= level:
            return found
        if level:
            found.append(section)
        elif section.title == title:
            level = section.level
    return found


def rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of every table row, without headers and rulers."""
    for table in re.findall(r"(?:^\|.*\|$\n?)+", text, re.MULTILINE):
        for line in table.splitlines()[2:]:
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]


def links(text: str) -> list[str]:
    """Return the targets of every link."""
    return _LINK.findall(prose(text))


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    return {re.sub(r"[^\w\- ]", "", section.title.lower()).replace(" ", "-") for section in sections(text)}


def one_line(text: str) -> str:
    """Return the text with every run of white space as one space."""
    return " ".join(text.split())
