"""Replays: select, preview, run; then progress, pause, resume and cancel."""

import hashlib
import secrets
from functools import partial
from typing import Final

import msgspec
from starlette.responses import Response

from packhook.api.parameters import REPLAYS
from packhook.api.schemas.replays import ReplayCreate
from packhook.core.clock import DAY, to_rfc3339
from packhook.core.errors import Conflict, InvalidInput, MalformedBody, Overloaded
from packhook.core.idempotency import AlreadyAnswered
from packhook.core.model import Webhook
from packhook.core.replay import ReplayQuery, ReplayStatus, Selection
from packhook.service.replays import Preview
from packhook.web.filters import instant_of
from packhook.web.forms import Form
from packhook.web.inputs import read_inputs
from packhook.web.visit import Visit

_CHANGES: Final = {
    "pause": (ReplayStatus.PAUSED, "replay-paused"),
    "resume": (ReplayStatus.RUNNING, "replay-resumed"),
    "cancel": (ReplayStatus.CANCELED, "replay-canceled"),
}
_INPUT_LENGTH: Final = len("2026-11-30T10:00")


async def replays(visit: Visit) -> Response:
    """List the replays of an organization, newest first."""
    await visit.require_organization()
    page, where = REPLAYS.read(visit.listing_query("webhook_id", "status"), visit.request.url.path)
    found = await visit.service.replays.list(visit.organization_id, page, where)
    return visit.render(
        "replays.html",
        replays=found.items,
        pages=visit.pages(found),
        endpoints=await visit.service.history.endpoints(found.items),
    )


async def form(visit: Visit) -> Response:
    """Show the form: by default what failed since the webhook began to fail, or within a day."""
    await visit.require_organization()
    found = await visit.service.webhooks.get(visit.organization_id, visit.parameters["webhookId"])
    failing = (await visit.service.webhooks.health([found])).get(found.id)
    since = visit.now - DAY if failing is None else failing.failing_since
    chosen = visit.query("select", Selection.FAILED)
    visit.form = Form([("select", chosen), ("since", to_rfc3339(since)[:_INPUT_LENGTH])])
    return _form(visit, found)


def _form(visit: Visit, found: Webhook, problem: str = "", preview: Preview | None = None) -> Response:
    return visit.render(
        "replay_form.html",
        422 if problem else 200,
        webhook=found,
        selections=tuple(Selection),
        problem=problem,
        preview=preview,
        key=visit.form.text("key") or secrets.token_urlsafe(16),
        previewed=_fingerprint(visit.form),
    )


async def create(visit: Visit) -> Response:
    """Show what a replay would take, or create it. The form's key lets a second sending do nothing."""
    await visit.require_organization()
    webhook_id = visit.parameters["webhookId"]
    found = await visit.service.webhooks.get(visit.organization_id, webhook_id)
    try:
        query = read_inputs(visit, ReplayCreate, _values(visit.form)).query(visit.organization_id, webhook_id)
        if visit.form.text("do") != "create":
            return _form(visit, found, preview=await visit.service.replays.preview(query))
        if visit.form.text("previewed") != _fingerprint(visit.form):
            changed = "Nothing is sent: what is selected was changed after the preview. This is what it takes now."
            return _form(visit, found, changed, await visit.service.replays.preview(query))
        replay_id = await _create_once(visit, query, visit.form.text("key"))
    except InvalidInput as error:
        visit.form.errors = tuple(error.errors)
        return _form(visit, found, "Nothing is sent: some fields are not right yet.")
    except (Conflict, Overloaded) as error:
        return _form(visit, found, error.detail)
    return visit.redirect("replay", notice="replay-created", replayId=replay_id)


async def _create_once(visit: Visit, query: ReplayQuery, key: str) -> str:
    """Create a replay, unless this form was sent before; return its id."""
    if not key:
        return (await visit.service.replays.create(query, visit.actor)).id
    sending = visit.service.repeatable(visit.organization_id, key, key)
    known = await sending.find(b"replay form", msgspec.json.encode(query))
    if known is None:
        create = partial(visit.service.replays.create, query, visit.actor)
        try:
            return (await create(remember=lambda made: sending.stored(made.id.encode()))).id
        except AlreadyAnswered:
            known = await sending.find_again() or b""
    return known.decode()


def _fingerprint(form: Form) -> str:
    """Return what stands for the selection of a form: what is sent is what the preview counted."""
    return hashlib.sha256(msgspec.json.encode(_values(form))).hexdigest()[:16]


def _values(form: Form) -> dict[str, object]:
    return {
        "select": form.text("select"),
        "since": instant_of(form.text("since")),
        "until": instant_of(form.text("until")),
        "subject": form.text("subject"),
        "event_codes": form.lines("event_codes"),
        "latest_only": form.is_checked("latest_only"),
    }


async def replay(visit: Visit) -> Response:
    """Show a replay with its progress."""
    await visit.require_organization()
    found = await visit.service.replays.get(visit.organization_id, visit.parameters["replayId"])
    endpoints = await visit.service.history.endpoints([found])
    return visit.render("replay.html", replay=found, endpoint=endpoints.get(found.webhook_id))


async def change(visit: Visit) -> Response:
    """Pause, resume or cancel a replay."""
    name = visit.form.text("to")
    if name not in _CHANGES:
        raise MalformedBody(f"expected one of {', '.join(_CHANGES)}")
    status, notice = _CHANGES[name]
    await visit.service.replays.change(visit.organization_id, visit.parameters["replayId"], status, visit.actor)
    return visit.redirect("replay", notice=notice)
