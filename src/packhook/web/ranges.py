"""The ranges of time that charts show, by the name that stands in the address."""

from typing import Final

from msgspec import Struct

from packhook.core.clock import DAY, HOUR, MINUTE
from packhook.web.visit import Visit


class Range(Struct, frozen=True):
    """Describe a range up to now: its length and the step of its charts, in milliseconds."""

    name: str
    label: str
    length: int
    step: int

    def since(self, now: int) -> int:
        """Return where the range begins: a whole number of steps before the end of the present one."""
        return now + -now % self.step - self.length


RANGES: Final = {
    found.name: found
    for found in (
        Range("1h", "last hour", HOUR, 5 * MINUTE),
        Range("24h", "last 24 hours", DAY, 30 * MINUTE),
        Range("7d", "last 7 days", 7 * DAY, 3 * HOUR),
    )
}
DEFAULT: Final = RANGES["24h"]


def chosen_range(visit: Visit) -> Range:
    """Return the range in the address; a day if there is none."""
    return RANGES.get(visit.query("range"), DEFAULT)
