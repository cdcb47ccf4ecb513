"""Whose turn it is: round over the organizations, and within each round over its lanes."""

from collections import deque

from packhook.delivery.lane import Lane


class Turns:
    """Lanes that are ready to send, each at most once, served fairly by organization and then by webhook."""

    def __init__(self) -> None:
        self._lanes: dict[str, deque[Lane]] = {}
        self._organizations: deque[str] = deque()
        self._listed: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._organizations)

    def add(self, lane: Lane) -> None:
        """Queue a lane behind the others of its organization; nothing happens where it is queued already."""
        if lane.webhook_id in self._listed:
            return
        self._listed.add(lane.webhook_id)
        own = self._lanes.get(lane.organization_id)
        if own is None:
            self._lanes[lane.organization_id] = deque((lane,))
            self._organizations.append(lane.organization_id)
        else:
            own.append(lane)

    def next(self) -> Lane:
        """The lane whose turn it is, taken out. IndexError where there is none."""
        organization_id = self._organizations.popleft()
        own = self._lanes[organization_id]
        lane = own.popleft()
        self._listed.discard(lane.webhook_id)
        if own:
            self._organizations.append(organization_id)
        else:
            del self._lanes[organization_id]
        return lane
