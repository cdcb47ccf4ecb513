"""Published events against received ones: none may be missing, and every signature must be valid."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Entry:
    """Track one published event. Times are ``time.monotonic()`` in seconds."""

    event_id: str
    event_code: str
    reference: str
    published_at: float
    arrived_at: float | None = None
    attempts: int = 0
    accepted: int = 0
    invalid_signatures: int = 0

    @property
    def is_delivered(self) -> bool:
        """Return True if it was accepted with a valid signature."""
        return self.accepted > 0


@dataclass(slots=True)
class Ledger:
    """Track every event by id, in publishing order."""

    entries: dict[str, Entry] = field(default_factory=dict)
    _undelivered: dict[str, Entry] = field(default_factory=dict)
    _early: dict[str, list[tuple[float, bool, bool]]] = field(default_factory=dict)

    def published(self, event_id: str, event_code: str, reference: str, at: float) -> None:
        """Record a published event. It may have arrived before its publish call returned."""
        entry = Entry(event_id, event_code, reference, at)
        self.entries[event_id] = self._undelivered[event_id] = entry
        for arrival in self._early.pop(event_id, ()):
            self.arrived(event_id, *arrival)

    def arrived(self, event_id: str, at: float, accepted: bool, is_verified: bool) -> None:
        """Record a request with this event id. ``accepted``: the receiver responded with 2xx."""
        entry = self.entries.get(event_id)
        if entry is None:
            self._early.setdefault(event_id, []).append((at, accepted, is_verified))
            return
        entry.attempts += 1
        if not is_verified:
            entry.invalid_signatures += 1
        elif accepted:
            entry.accepted += 1
            entry.arrived_at = entry.arrived_at or at
            self._undelivered.pop(event_id, None)

    @property
    def missing(self) -> list[Entry]:
        """Return the events that were not delivered."""
        return list(self._undelivered.values())

    @property
    def unknown(self) -> list[str]:
        """Return ids that arrived and were never published."""
        return list(self._early)

    @property
    def is_complete(self) -> bool:
        """Return True if every event was delivered, none is unknown, and every signature was valid."""
        return not self.missing and not self.unknown and not any(e.invalid_signatures for e in self.entries.values())

    def latencies(self) -> list[float]:
        """Return the seconds from publish to receipt of first attempts, ascending."""
        entries = self.entries.values()
        return sorted(e.arrived_at - e.published_at for e in entries if e.arrived_at is not None and e.attempts == 1)


def percentile(ascending: list[float], share: float) -> float:
    """Return the value that a share (0 to 1) of a non-empty list does not exceed."""
    return ascending[min(len(ascending) - 1, int(len(ascending) * share))]
