"""API keys of an organization: list, create (the key is shown once), revoke."""

from starlette.responses import Response

from packhook.api.parameters import API_KEYS
from packhook.api.schemas.organizations import ApiKeyCreate
from packhook.core.clock import from_rfc3339
from packhook.core.errors import InvalidInput, NotFound
from packhook.core.model import SCOPES, ApiKey
from packhook.web.filters import instant_of
from packhook.web.inputs import read_inputs
from packhook.web.visit import Visit


async def api_keys(visit: Visit) -> Response:
    """List the keys that were not revoked, with the form to create one."""
    await visit.require_organization()
    return await _list(visit)


async def _list(visit: Visit, problem: str = "") -> Response:
    page, _ = API_KEYS.read(visit.listing_query(), visit.request.url.path)
    found = await visit.service.organizations.list_keys(visit.organization_id, page)
    return visit.render(
        "api_keys.html",
        422 if problem else 200,
        keys=found.items,
        pages=visit.pages(found),
        scopes=SCOPES,
        problem=problem,
    )


async def create(visit: Visit) -> Response:
    """Create a key, and show it: the response to this form is the only page that ever has it."""
    await visit.require_organization()
    form = visit.form
    values: dict[str, object] = {
        "name": form.text("name"),
        "scopes": form.texts("scopes"),
        "expires_at": instant_of(form.text("expires_at")),
    }
    try:
        body = read_inputs(visit, ApiKeyCreate, values)
        expires_at = from_rfc3339(body.expires_at) if body.expires_at else None
        made, key = await visit.service.organizations.create_key(
            visit.organization_id, body.name, tuple(body.scopes), expires_at, visit.actor
        )
    except InvalidInput as error:
        form.errors = tuple(error.errors)
        return await _list(visit, "The key was not created.")
    return visit.render("api_key.html", 201, key=key, made=made)


async def revoke_form(visit: Visit) -> Response:
    """Ask once more before a key is revoked."""
    await visit.require_organization()
    return visit.render("api_key_revoke.html", key=await _key(visit))


async def _key(visit: Visit) -> ApiKey:
    """Return the key in the path. Raises NotFound."""
    page, _ = API_KEYS.read(visit.listing_query(per_page="100"))
    while True:
        found = await visit.service.organizations.list_keys(visit.organization_id, page)
        for key in found.items:
            if key.id == visit.parameters["keyId"]:
                return key
        if found.next is None:
            raise NotFound("This organization has no such key, or it was revoked.")
        page, _ = API_KEYS.read(visit.listing_query(per_page="100", cursor=found.next))


async def revoke(visit: Visit) -> Response:
    """Revoke a key."""
    await visit.service.organizations.revoke_key(visit.organization_id, visit.parameters["keyId"], visit.actor)
    return visit.redirect("api-keys", notice="api-key-revoked")
