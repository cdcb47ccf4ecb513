"""Who wants which events: asked once, kept, and proven by the very statement that publishes.

What is kept may be out of date at any moment, for every node may change a webhook. So a publish says what it took for
true (``Wanted.proof``), the database compares that with its tables in the same snapshot, and writes nothing where they
differ; then who wants the events is asked again.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from packhook.core.model import PublishRequest
from packhook.store.postgres.asking import SQL, Db, sayable

KEPT = 50_000
"""About how many webhooks a node keeps in mind; beyond that it begins anew."""

Asked = tuple[str, str]
"""An organization and an event code."""


class Wanted:
    """The ids and versions of the webhooks that want the events, in order of their ids; and the same as one text."""

    __slots__ = ("proof", "webhooks")

    def __init__(self, webhooks: Sequence[tuple[str, int]]) -> None:
        self.webhooks = webhooks
        self.proof = ",".join([f"{webhook_id} {version}" for webhook_id, version in webhooks])


class Wants:
    """What one node keeps in mind."""

    def __init__(self) -> None:
        self._kept: dict[Asked, Wanted] = {}
        self._size = 0

    async def of(self, db: Db, publications: Sequence[PublishRequest]) -> dict[Asked, Wanted]:
        """For all events of these; organizations that are not there have no entry."""
        asked = {(event.organization_id, event.event_code) for each in publications for event in each.events}
        wanted = {each: self._kept[each] for each in asked if each in self._kept}
        unknown = [each for each in asked if each not in wanted and sayable(*each)]
        if unknown:
            found = await _ask(db, unknown)
            self._keep(found)
            wanted.update(found)
        return wanted

    def forget(self, asked: Iterable[Asked]) -> None:
        """It has changed."""
        for each in asked:
            gone = self._kept.pop(each, None)
            self._size -= 0 if gone is None else _size(gone)

    def _keep(self, found: dict[Asked, Wanted]) -> None:
        self.forget(found)
        if self._size > KEPT:
            self._kept.clear()
            self._size = 0
        self._kept.update(found)
        self._size += sum(map(_size, found.values()))


def _size(wanted: Wanted) -> int:
    return 1 + len(wanted.webhooks)


async def _ask(db: Db, unknown: Collection[Asked]) -> dict[Asked, Wanted]:
    organization_ids = sorted({each[0] for each in unknown})
    rows = await db.all(SQL["wanting_webhooks"], organization_ids, sorted({each[1] for each in unknown}))
    there = {row[0] for row in rows}
    wanting: defaultdict[Asked, list[tuple[str, int]]] = defaultdict(list)
    for organization_id, code, webhook_id, version in rows:
        if code is not None:
            wanting[organization_id, code].append((webhook_id, version))
    return {each: Wanted(wanting.get(each, ())) for each in unknown if each[0] in there}
