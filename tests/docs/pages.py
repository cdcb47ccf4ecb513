"""Reading the documentation: its pages, headings, tables, code blocks and links."""

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
    """What stands under one heading, up to the next heading of whatever level."""

    level: int
    title: str
    text: str


def read(page: str) -> str:
    """A page below docs/."""
    return (DOCS / page).read_text("utf-8")


def prose(text: str) -> str:
    """The text without its code blocks."""
    return _FENCE.sub("", text)


def blocks(text: str, language: str) -> list[str]:
    """The code blocks in this language."""
    return [code for name, code in _FENCE.findall(text) if name == language]


def sections(text: str) -> list[Section]:
    """Every section, in order; code blocks are blanked before headings are looked for, and are in the texts."""
    blank = _FENCE.sub(lambda fence: re.sub(r"[^\n]", " ", fence[0]), text)
    found = list(_HEADING.finditer(blank))
    ends = [heading.start() for heading in found[1:]] + [len(text)]
    return [
        Section(len(heading[1]), heading[2].strip(), text[heading.end() : end])
        for heading, end in zip(found, ends, strict=True)
    ]


def below(text: str, title: str) -> list[Section]:
    """The sections below the section of this title, down to the next one of its level."""
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
    """The cells of every table row, headers and rulers left out."""
    for table in re.findall(r"(?:^\|.*\|$\n?)+", text, re.MULTILINE):
        for line in table.splitlines()[2:]:
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]


def links(text: str) -> list[str]:
    """The targets of every link."""
    return _LINK.findall(prose(text))


def anchors(text: str) -> set[str]:
    """The anchors that the headings of a page have, as GitHub makes them."""
    return {re.sub(r"[^\w\- ]", "", section.title.lower()).replace(" ", "-") for section in sections(text)}


def one_line(text: str) -> str:
    """The text with every run of white space as one space."""
    return " ".join(text.split())
