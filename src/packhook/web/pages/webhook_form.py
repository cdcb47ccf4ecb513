"""Create and edit a webhook, and rotate its secret: forms that the API's own schemas judge."""

from typing import Any, Final

from starlette.responses import Response

from packhook.api.schemas.webhooks import SecretRotate, WebhookCreate, WebhookUpdate, shown_settings, stored_fields
from packhook.core import client_certificate
from packhook.core.errors import Conflict, InvalidInput
from packhook.core.model import FULL, THIN, Webhook
from packhook.core.signatures.standard import new_secret
from packhook.service import rules
from packhook.web.forms import Form
from packhook.web.inputs import read_inputs
from packhook.web.visit import Visit


def _names_of(kind: type) -> tuple[str, ...]:
    return tuple(name for name, field in WebhookUpdate.model_fields.items() if field.annotation is kind)


_TEXTS: Final = tuple(name for name in _names_of(str) if name != "secret")
_NUMBERS: Final = _names_of(float)
_FLAGS: Final = _names_of(bool)


async def create_form(visit: Visit) -> Response:
    """Show the empty form."""
    await visit.require_organization()
    return _form(visit, None)


async def edit_form(visit: Visit) -> Response:
    """Show the form with a webhook's settings."""
    await visit.require_organization()
    found = await visit.service.webhooks.get(visit.organization_id, visit.parameters["webhookId"])
    visit.form = Form(_texts(found))
    return _form(visit, found)


def _form(visit: Visit, found: Webhook | None, problem: str = "") -> Response:
    return visit.render(
        "webhook_form.html",
        422 if problem else 200,
        webhook=found,
        codes=tuple(visit.event_types.live),
        payloads=(FULL, THIN),
        certificate=client_certificate.facts(found.client_certificate) if found and found.client_certificate else None,
        problem=problem,
        is_new=found is None,
    )


async def create(visit: Visit) -> Response:
    """Create a webhook, and show its secret once if packhook made it."""
    await visit.require_organization()
    typed = visit.form.text("secret")
    secret = typed or new_secret()
    try:
        body = read_inputs(visit, WebhookCreate, {**_values(visit.form, None), "secret": secret})
        made = await visit.service.webhooks.create(visit.organization_id, stored_fields(body), visit.actor)
    except InvalidInput as error:
        visit.form.errors = tuple(error.errors)
        return _form(visit, None, "The webhook was not created: some fields are not right yet.")
    except Conflict as error:
        return _form(visit, None, error.detail)
    if typed:
        return visit.redirect("webhook", notice="webhook-created", webhookId=made.id)
    return visit.render("secret.html", webhook=made, secret=made.secret, why="created")


async def edit(visit: Visit) -> Response:
    """Change a webhook's settings."""
    await visit.require_organization()
    webhook_id = visit.parameters["webhookId"]
    before = await visit.service.webhooks.get(visit.organization_id, webhook_id)
    try:
        body = read_inputs(visit, WebhookUpdate, _values(visit.form, before), keep_empty=True)
        fields = stored_fields(body)
        if not visit.form.text("headers") and not visit.form.is_checked("remove_headers"):
            fields.pop("headers", None)  # their values are not shown, so an empty text keeps them
        changed = {name: value for name, value in fields.items() if getattr(before, name) != value}
        if changed:
            await visit.service.webhooks.update(visit.organization_id, webhook_id, changed, visit.actor)
    except InvalidInput as error:
        visit.form.errors = tuple(error.errors)
        return _form(visit, before, "Nothing was changed: some fields are not right yet.")
    except Conflict as error:
        return _form(visit, before, error.detail)
    return visit.redirect("webhook", notice="webhook-changed")


def _values(form: Form, before: Webhook | None) -> dict[str, Any]:
    """Return the form as the API's body would be. A number that is none stays text, which the schema refuses."""
    return {**_settings(form), **_event_codes(form, before), **_client_certificate(form)}


def _event_codes(form: Form, before: Webhook | None) -> dict[str, list[str]]:
    """Return the codes and patterns. Without any, a webhook that had some gets just its event code."""
    codes = form.lines("event_codes")
    if not codes and before is not None and before.event_codes:
        codes = [form.text("event_code")]
    return {"event_codes": codes} if codes else {}


def _client_certificate(form: Form) -> dict[str, Any]:
    """Return the client certificate and its key, if one is given or removed; the key is never shown, so it may stay."""
    pair = {"certificate": form.text("certificate"), "key": form.text("key")}
    if any(pair.values()):
        return {"client_certificate": pair}
    return {"client_certificate": {}} if form.is_checked("remove_certificate") else {}


def _settings(form: Form) -> dict[str, Any]:
    headers: dict[str, str] = {}
    for line in form.lines("headers"):
        name, _, value = line.partition(":")
        headers[name.strip()] = value.strip()
    return {
        **{name: "\n".join(form.text(name).splitlines()) for name in _TEXTS if form.has(name)},  # browsers send CR LF
        **{name: _number(form.text(name)) for name in _NUMBERS},
        **{name: form.is_checked(name) for name in _FLAGS},
        "headers": headers,
        "retry_schedule": [wait.strip() for wait in form.text("retry_schedule").split(",") if wait.strip()],
    }


def _number(text: str) -> float | str:
    try:
        return float(text or 0)
    except ValueError:
        return text


def _texts(found: Webhook) -> list[tuple[str, str]]:
    """Return a webhook's settings as the texts of the form; header values are never shown."""
    shown = {"payload": FULL, **shown_settings(found)}
    return [
        *((name, shown.get(name) or getattr(found, name)) for name in _TEXTS),
        *((name, f"{shown[name]:g}" if shown.get(name) else "") for name in _NUMBERS),
        ("event_codes", "\n".join(() if found.event_codes == (found.event_code,) else found.event_codes)),
        ("retry_schedule", ", ".join(shown.get("retry_schedule", ()))),
        *((name, "on") for name in _FLAGS if getattr(found, name)),
    ]


# --- the secret


async def rotate_form(visit: Visit) -> Response:
    """Show what a rotation does, and its form."""
    await visit.require_organization()
    found = await visit.service.webhooks.get(visit.organization_id, visit.parameters["webhookId"])
    return visit.render("rotate.html", webhook=found, problem="")


async def rotate(visit: Visit) -> Response:
    """Rotate a webhook's secret, and show the new one once if packhook made it."""
    await visit.require_organization()
    webhook_id, typed = visit.parameters["webhookId"], visit.form.text("secret")
    names = ("secret", "overlap", "finish")
    try:
        body = read_inputs(visit, SecretRotate, {name: visit.form.text(name) for name in names})
        after = await visit.service.secret_rotation.rotate(
            visit.organization_id, webhook_id, body.secret, rules.overlap(body.overlap), body.finish, visit.actor
        )
    except (InvalidInput, Conflict) as error:
        visit.form.errors = tuple(error.errors) if isinstance(error, InvalidInput) else ()
        found = await visit.service.webhooks.get(visit.organization_id, webhook_id)
        problem = "Nothing was changed." if isinstance(error, InvalidInput) else error.detail
        return visit.render("rotate.html", 422, webhook=found, problem=problem)
    if typed:
        return visit.redirect("webhook", notice="secret-rotated")
    return visit.render("secret.html", webhook=after, secret=after.secret, why="rotated")
