"""Event types: read the catalogue, and change it: one type, or many at once.

::

    POST, PUT, DELETE, import ─▶ what shall be ─▶ all that is wrong? ─▶ what does it break? ─▶ save (Conflict: once
    more)
                                                  422                   422, unless forced
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from packhook.core.audit import Action, Actor, AuditEntry, entry, event_type_changes, remembered
from packhook.core.clock import Clock
from packhook.core.errors import Conflict, FieldError, InvalidInput
from packhook.core.event_schema import MAX_ERRORS
from packhook.core.event_type_rules import code_problem, definition_errors
from packhook.core.event_types import Catalogue
from packhook.core.idempotency import Remember
from packhook.core.model import EventType
from packhook.core.schema_compatibility import breaks
from packhook.service.pagination import Listing, listing_by
from packhook.service.preconditions import Versions, require_version
from packhook.store.base import Page, PageRequest, Store

MAX_EVENT_TYPES: Final = 500
MAX_CATALOGUE_BYTES: Final = 4 * 1024 * 1024
"""Of the schemas and examples of all types: every node holds them in memory, and OpenAPI shows them."""

MAX_TRIES: Final = 5
LOOK_AGAIN_SECONDS: Final = 0.2


class Definition(Struct, frozen=True, kw_only=True):
    """Describe what an event type shall be; a field that is UNSET stays as it is, or is empty in a new one."""

    description: str | UnsetType = UNSET
    schema: dict[str, Any] | UnsetType | None = UNSET
    example: dict[str, Any] | UnsetType | None = UNSET
    subject_pointer: str | UnsetType = UNSET
    reference_pointers: tuple[str, ...] | UnsetType = UNSET
    archived: bool | UnsetType = UNSET


class PlannedChange(Struct, frozen=True, kw_only=True):
    """Describe what becomes of an event type: ``before`` is None for a new one. ``broken`` says what that breaks."""

    before: EventType | None
    after: EventType
    action: Action | None
    fields: tuple[str, ...]
    broken: tuple[FieldError, ...] = ()


class EventTypes:
    """Read and change the catalogue of the instance."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._looked_at = float("-inf")

    @property
    def catalogue(self) -> Catalogue:
        """Return the catalogue as this node knows it."""
        return self._store.event_types.catalogue

    async def look_again(self) -> Catalogue:
        """Return the catalogue as the database has it, but look there five times a second at most."""
        now = asyncio.get_running_loop().time()
        if now < self._looked_at + LOOK_AGAIN_SECONDS:
            return self.catalogue
        self._looked_at = now
        return await self._store.event_types.refresh()

    async def list(self, page: PageRequest, *, archived: bool | None) -> Listing[EventType]:
        """Return a page of all types by code, built-in ones too; ``archived`` None: whether archived or not."""
        catalogue = await self._store.event_types.refresh()
        found = [
            catalogue.types[code]
            for code in sorted(catalogue.types)
            if archived is None or archived == (catalogue.types[code].archived_at is not None)
        ]
        return listing_by("event-types", _page(found, page), lambda event_type: event_type.code)

    async def get(self, code: str) -> EventType:
        """Return a type. Raise NotFound."""
        return (await self._store.event_types.refresh()).get(code)

    async def create(
        self, code: str, definition: Definition, by: Actor, *, remember: Remember[EventType] | None = None
    ) -> EventType:
        """Create a type. Raise InvalidInput, and Conflict where there is one with this code, archived or built in."""

        def plan(catalogue: Catalogue) -> dict[str, Definition]:
            if code in catalogue.types:
                archived = catalogue.types[code].archived_at is not None
                hint = ", archived: update it with `archived: false`" if archived else ""
                raise Conflict(f"there is an event type {code!r}{hint}")
            return {code: definition}

        (planned,) = await self._change(plan, by, force=False, remember=remember)
        return planned.after

    async def update(
        self, code: str, definition: Definition, by: Actor, *, force: bool, versions: Versions = None
    ) -> EventType:
        """Change a type. Raise NotFound, Conflict (built in), and InvalidInput, also for breaks unless ``force``.

        Raise PreconditionFailed where the stored version is none of ``versions``.
        """

        def plan(catalogue: Catalogue) -> dict[str, Definition]:
            require_version(catalogue.get(code).version, versions)
            return {code: definition}

        (planned,) = await self._change(plan, by, force=force)
        return planned.after

    async def archive(self, code: str, by: Actor, versions: Versions = None) -> None:
        """Archive a type: no event of it can be published. Raise what :meth:`update` raises."""
        await self.update(code, Definition(archived=True), by, force=False, versions=versions)

    async def import_all(
        self, definitions: Mapping[str, Definition], by: Actor, *, force: bool, preview: bool
    ) -> Sequence[PlannedChange]:
        """Make these types what they are said to be, all or none; return what changes. ``preview``: nothing is written.

        Raise InvalidInput with everything that is wrong, by ``/event_types/NUMBER``. Types that are not named stay.
        """
        return await self._change(lambda _: definitions, by, force=force, preview=preview, is_import=True)

    async def _change(
        self,
        plan: Callable[[Catalogue], Mapping[str, Definition]],
        by: Actor,
        *,
        force: bool,
        preview: bool = False,
        is_import: bool = False,
        remember: Remember[EventType] | None = None,
    ) -> Sequence[PlannedChange]:
        for tries_left in reversed(range(MAX_TRIES)):
            catalogue = await self._store.event_types.refresh()
            wanted = plan(catalogue)
            now = self._clock.now()
            planned = await asyncio.to_thread(
                _planned, catalogue, wanted, now, force=force or preview, is_import=is_import
            )
            changed = [one for one in planned if one.action is not None]
            if preview or not changed:
                return planned
            entries = [remembered(_entry(one, by, now), remember, one.after) for one in changed]
            try:
                await self._store.event_types.save([one.after for one in changed], entries, catalogue.version)
            except Conflict:
                if not tries_left:
                    raise
            else:
                return planned
        raise AssertionError("the last try returns or raises")


def _planned(
    catalogue: Catalogue, wanted: Mapping[str, Definition], now: int, *, force: bool, is_import: bool
) -> Sequence[PlannedChange]:
    """Return what becomes of each type. Raise InvalidInput with everything that is wrong, and Conflict."""
    wrong: list[FieldError] = []
    planned = []
    for number, (code, definition) in enumerate(wanted.items()):
        at = f"/event_types/{number}" if is_import else ""
        before = catalogue.types.get(code)
        if before is not None and before.is_built_in:
            message = f"the event type {code!r} is built in: it cannot be changed or archived"
            if not is_import:
                raise Conflict(message)
            wrong.append(FieldError(f"{at}/code", "built_in", message))
            continue
        one = _plan(code, before, definition, now, catalogue.version + 1)
        problem = code_problem(code)
        found = [FieldError("/code", "invalid", problem)] if problem and before is None else []
        if one.action is not None:
            found += definition_errors(one.after)
            is_schema = not any(error.field.startswith("/schema") for error in found)
            one = msgspec.structs.replace(one, broken=_broken(one) if is_schema else ())
            found += () if force else one.broken
        planned.append(one)
        wrong += [FieldError(at + error.field, error.code, error.message) for error in found]
    wrong = wrong or _too_much(catalogue, planned)
    if wrong:
        raise InvalidInput(wrong[:MAX_ERRORS])
    return planned


def _plan(code: str, before: EventType | None, definition: Definition, now: int, version: int) -> PlannedChange:
    """Return what becomes of a type; a change of it gets ``version``."""
    base = before or EventType(code=code, created_at=now, updated_at=now, version=version)
    values = {name: value for name, value in msgspec.structs.asdict(definition).items() if value is not UNSET}
    archived = values.pop("archived", base.archived_at is not None)
    archived_at = (base.archived_at or now) if archived else None
    fields = tuple(name for name, value in values.items() if not _is_same(getattr(base, name), value))
    if before is not None and (archived_at is None) != (base.archived_at is None):
        fields = (*fields, "archived_at")
    after = msgspec.structs.replace(base, **values, archived_at=archived_at, updated_at=now, version=version)
    if before is None:
        return PlannedChange(before=None, after=after, action=Action.EVENT_TYPE_CREATED, fields=fields)
    if not fields:
        return PlannedChange(before=before, after=before, action=None, fields=())
    archives = fields == ("archived_at",) and archived
    action = Action.EVENT_TYPE_ARCHIVED if archives else Action.EVENT_TYPE_UPDATED
    return PlannedChange(before=before, after=after, action=action, fields=fields)


def _broken(planned: PlannedChange) -> tuple[FieldError, ...]:
    """Return what the new schema breaks."""
    if planned.before is None or "schema" not in planned.fields:
        return ()
    return tuple(breaks(planned.before.schema, planned.after.schema))


def _is_same(before: object, after: object) -> bool:
    """Compare as JSON: the order of members counts, so that a file can say it, and ``true`` is not 1."""
    return msgspec.json.encode(before) == msgspec.json.encode(after)


def _too_much(catalogue: Catalogue, planned: Sequence[PlannedChange]) -> list[FieldError]:
    own = {found.code: found for found in catalogue.types.values() if not found.is_built_in}
    own |= {one.after.code: one.after for one in planned}
    if len(own) > MAX_EVENT_TYPES:
        return [FieldError("", "too_many", f"an instance may have {MAX_EVENT_TYPES} event types of its own")]
    size = sum(len(msgspec.json.encode((found.schema, found.example))) for found in own.values())
    if size > MAX_CATALOGUE_BYTES:
        text = f"all schemas and examples may have {MAX_CATALOGUE_BYTES} bytes together, these have {size}"
        return [FieldError("", "too_large", text)]
    return []


def _entry(planned: PlannedChange, by: Actor, now: int) -> AuditEntry:
    assert planned.action is not None  # noqa: S101 only changes are saved
    changes = event_type_changes(planned.before, planned.after, planned.fields)
    reason = "forced: it breaks " + "; ".join(error.field for error in planned.broken) if planned.broken else ""
    return entry(planned.action, by, now, object_id=planned.after.code, changes=changes, reason=reason[:1_000])


def _page(found: Sequence[EventType], page: PageRequest) -> Page[EventType]:
    """Return a page of types that are in the order of their codes."""
    anchor = page.anchor
    if page.backwards:
        before = [one for one in found if anchor is None or one.code < anchor]
        return Page(
            items=tuple(before[-page.limit :]), has_prev=len(before) > page.limit, has_next=len(before) < len(found)
        )
    rest = [one for one in found if anchor is None or one.code > anchor]
    return Page(items=tuple(rest[: page.limit]), has_prev=len(rest) < len(found), has_next=len(rest) > page.limit)
