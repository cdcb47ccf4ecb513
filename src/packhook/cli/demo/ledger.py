"""What was published against what arrived: nothing may be missing, and each event needs one good signature."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Entry:
    """One published event. Times are ``time.monotonic()`` in seconds."""

    event_id: str
    event_code: str
    reference: str
    published_at: float
    arrived_at: float | None = None
    attempts: int = 0
    accepted: int = 0
    badly_signed: int = 0

    @property
    def is_delivered(self) -> bool:
        """Whether it arrived, was accepted, and its signature was good."""
        return self.accepted > 0


@dataclass(slots=True)
class Ledger:
    """Every event of the demo by its id, in the order they were published."""

    entries: dict[str, Entry] = field(default_factory=dict)
    _undelivered: dict[str, Entry] = field(default_factory=dict)
    _early: dict[str, list[tuple[float, bool, bool]]] = field(default_factory=dict)

    def published(self, event_id: str, event_code: str, reference: str, at: float) -> None:
        """The service said that this event is durable; it may have arrived before it said so."""
        entry = Entry(event_id, event_code, reference, at)
        self.entries[event_id] = self._undelivered[event_id] = entry
        for arrival in self._early.pop(event_id, ()):
            self.arrived(event_id, *arrival)

    def arrived(self, event_id: str, at: float, accepted: bool, well_signed: bool) -> None:
        """The receiver got this id; ``accepted``: it answered 2xx."""
        entry = self.entries.get(event_id)
        if entry is None:
            self._early.setdefault(event_id, []).append((at, accepted, well_signed))
            return
        entry.attempts += 1
        if not well_signed:
            entry.badly_signed += 1
        elif accepted:
            entry.accepted += 1
            entry.arrived_at = entry.arrived_at or at
            self._undelivered.pop(event_id, None)

    @property
    def missing(self) -> list[Entry]:
        """What was published and has not arrived well."""
        return list(self._undelivered.values())

    @property
    def unknown(self) -> list[str]:
        """Ids that arrived and were never published."""
        return list(self._early)

    @property
    def is_good(self) -> bool:
        """The verdict: everything arrived, nothing unknown, no bad signature."""
        return not self.missing and not self.unknown and not any(e.badly_signed for e in self.entries.values())

    def latencies(self) -> list[float]:
        """Seconds from publish to receipt, of what arrived at its first attempt, in ascending order."""
        entries = self.entries.values()
        return sorted(e.arrived_at - e.published_at for e in entries if e.arrived_at is not None and e.attempts == 1)


def percentile(ascending: list[float], share: float) -> float:
    """The value that ``share`` (0 to 1) of a non-empty list does not exceed."""
    return ascending[min(len(ascending) - 1, int(len(ascending) * share))]
