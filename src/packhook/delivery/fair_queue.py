"""Serve lanes in turn: round robin over the organizations, and over the lanes of each organization."""

from collections import deque

from packhook.delivery.lane import Lane


class FairQueue:
    """Queue the lanes that have something to send, each at most once."""

    def __init__(self) -> None:
        self._lanes: dict[str, deque[Lane]] = {}
        self._organizations: deque[str] = deque()
        self._queued: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._organizations)

    def add(self, lane: Lane) -> None:
        """Queue a lane behind the others of its organization. Do nothing if it is queued already."""
        if lane.webhook_id in self._queued:
            return
        self._queued.add(lane.webhook_id)
        lanes = self._lanes.get(lane.organization_id)
        if lanes is None:
            self._lanes[lane.organization_id] = deque((lane,))
            self._organizations.append(lane.organization_id)
        else:
            lanes.append(lane)

    def next(self) -> Lane:
        """Remove and return the next lane. IndexError if none is queued."""
        organization_id = self._organizations.popleft()
        lanes = self._lanes[organization_id]
        lane = lanes.popleft()
        self._queued.discard(lane.webhook_id)
        if lanes:
            self._organizations.append(organization_id)
        else:
            del self._lanes[organization_id]
        return lane
