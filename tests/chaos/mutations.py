"""Make one fault in a node by hand: each loses deliveries, and the proof must find it.

Most drop one statement within one function, as a forgotten line would. Only a crashing node uses this.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, Final

import packhook.store.postgres.claim
import packhook.store.postgres.liveness
import packhook.store.postgres.outbox
import packhook.store.postgres.record
import packhook.store.postgres.webhooks
import packhook.store.sqlite.claim
import packhook.store.sqlite.outbox
import packhook.store.sqlite.publish
import packhook.store.sqlite.record
import packhook.store.sqlite.webhooks
from packhook.store.postgres.queries import SQL as POSTGRES
from packhook.store.sqlite.queries import SQL as SQLITE

sqlite: Final[Any] = packhook.store.sqlite
postgres: Final[Any] = packhook.store.postgres
LANE: Final = "lower_lane_due_at"


class _Without:
    """Wrap a connection so that it does not run one statement."""

    def __init__(self, db: Any, statement: str) -> None:  # noqa: ANN401 of either store
        self._db = db
        self._statement = statement

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 any member of the connection
        return getattr(self._db, name)

    def __enter__(self) -> Any:  # noqa: ANN401 as above
        return self._db.__enter__()

    def __exit__(self, *error: object) -> Any:  # noqa: ANN401 as above
        return self._db.__exit__(*error)

    def execute(self, statement: str, *values: Any) -> Any:  # noqa: ANN401 as above
        return iter(()) if statement == self._statement else self._db.execute(statement, *values)

    def executemany(self, statement: str, *values: Any) -> Any:  # noqa: ANN401 as above
        return iter(()) if statement == self._statement else self._db.executemany(statement, *values)

    async def fetch_all(self, statement: str, *values: object) -> list[Any]:
        return [] if statement == self._statement else await self._db.fetch_all(statement, *values)


def _drop(owner: Any, name: str, statement: str, position: int = 0) -> Callable[[], None]:  # noqa: ANN401 a module or a class
    """Return a mutation: ``owner.name`` runs without this statement. Its connection is the argument at ``position``."""

    def apply() -> None:
        original = getattr(owner, name)

        @wraps(original)
        def mutated(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 as the original
            before, db, after = arguments[:position], arguments[position], arguments[position + 1 :]
            return original(*before, _Without(db, statement), *after, **options)

        setattr(owner, name, mutated)

    return apply


def _roll_back_publishes() -> None:
    original = sqlite.publish.publish

    async def publish(db: Any, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 as the original
        answers = await original(db, *arguments, **options)
        db.execute("ROLLBACK")
        db.execute("BEGIN IMMEDIATE")
        return answers

    sqlite.publish.publish = publish


def _forget_outbox() -> None:
    sqlite.outbox.waiting_organizations = lambda _: []


def _forget_retries() -> None:
    original = sqlite.record._settlement

    def settlement(result: Any) -> tuple[Any, ...]:  # noqa: ANN401 as the original
        status, _, *rest = original(result)
        return status, None, *rest

    sqlite.record._settlement = settlement


def _record_failures_as_delivered() -> None:
    original = sqlite.record._settlement

    def settlement(result: Any) -> tuple[Any, ...]:  # noqa: ANN401 as the original
        return "delivered", None, *original(result)[2:]

    sqlite.record._settlement = settlement


MUTATIONS: Final[dict[str, Callable[[], None]]] = {
    "a rescue without its lane": _drop(sqlite.claim, "release_all", SQLITE[LANE]),
    "a release without its lane": _drop(sqlite.claim, "release", SQLITE[LANE]),
    "an expiry without its lane": _drop(sqlite.claim, "expire_direct_leases", SQLITE[LANE]),
    "a retry without its lane": _drop(sqlite.record, "_reschedule", SQLITE[LANE]),
    "a retry that is never due": _forget_retries,
    "a failure that counts as delivered": _record_failures_as_delivered,
    "a publish that is answered and not stored": _roll_back_publishes,
    "a resume without its lane": _drop(sqlite.webhooks, "replace_webhook", SQLITE[LANE]),
    "a start that does not look into the outbox": _forget_outbox,
    "a rescue without its lane, on PostgreSQL": _drop(
        postgres.liveness.NodeLiveness, "_release", POSTGRES[LANE], position=1
    ),
    "a release without its lane, on PostgreSQL": _drop(postgres.claim, "release", POSTGRES[LANE]),
    "a resume without its lane, on PostgreSQL": _drop(postgres.webhooks, "replace_webhook", POSTGRES[LANE]),
    "a retry without its lane, on PostgreSQL": _drop(postgres.record, "_reschedule", POSTGRES[LANE]),
}


def mutate(name: str) -> None:
    """Make one of the faults in this process; none for an empty name."""
    if name:
        MUTATIONS[name]()
