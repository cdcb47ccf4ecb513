"""Say what a search may find, and how it is named."""

from enum import StrEnum

from msgspec import Struct


class FoundKind(StrEnum):
    """Name what was found."""

    ORGANIZATION = "organization"
    WEBHOOK = "webhook"
    DELIVERY = "delivery"
    EVENT = "event"
    REPLAY = "replay"
    SUBJECT = "subject"
    REFERENCE = "reference"


class Found(Struct, frozen=True, kw_only=True):
    """Hold one thing that a text names; ``name`` is its id, or the subject or reference, ``text`` says more."""

    kind: FoundKind
    organization_id: str
    name: str
    text: str = ""


class Slice(Struct, frozen=True, kw_only=True):
    """Hold what one slice has, in the order of ids; the next one begins after ``after``, None: there is none."""

    found: tuple[Found, ...]
    after: str | None
