"""Load organizations' subscribers: cached, and verified by the statement that writes their deliveries."""

from collections import defaultdict
from collections.abc import Iterable

from packhook.core.subscription import Subscription
from packhook.store import rows
from packhook.store.fan_out import SubscriberCache, Subscribers
from packhook.store.postgres.queries import SQL, Db, has_no_nul


class SubscriberLoader:
    """Load subscribers for one node."""

    def __init__(self) -> None:
        self._cache = SubscriberCache()

    async def load(self, db: Db, organization_ids: Iterable[str]) -> dict[str, Subscribers]:
        """Return the subscribers of these organizations, maybe out of date; without those that are not there."""
        wanted = dict.fromkeys(organization_ids)
        found = {id_: cached for id_ in wanted if (cached := self._cache.get(id_)) is not None}
        unknown = sorted(id_ for id_ in wanted if id_ not in found and has_no_nul(id_))
        if unknown:
            for organization_id, subscribers in (await _query(db, unknown)).items():
                self._cache.put(organization_id, subscribers)
                found[organization_id] = subscribers
        return found

    def cached(self, organization_id: str) -> Subscribers | None:
        """Return what is cached of an organization's subscribers, maybe out of date."""
        return self._cache.get(organization_id)

    def forget(self, organization_ids: Iterable[str]) -> None:
        """Drop what is out of date."""
        for organization_id in organization_ids:
            self._cache.forget(organization_id)


async def _query(db: Db, organization_ids: list[str]) -> dict[str, Subscribers]:
    versions: dict[str, int] = {}
    subscriptions: defaultdict[str, list[Subscription]] = defaultdict(list)
    for organization_id, version, *subscription in await db.fetch_all(SQL["list_subscriptions"], organization_ids):
        versions[organization_id] = version
        if subscription[0] is not None:
            subscriptions[organization_id].append(rows.subscription(subscription))
    return {id_: Subscribers(version, subscriptions[id_]) for id_, version in versions.items()}
