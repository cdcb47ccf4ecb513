"""Sign in with the operator key or a link that works once, and sign out."""

from functools import partial

from starlette.responses import RedirectResponse, Response

from packhook.api.forwarded import source_in
from packhook.core.errors import Overloaded, RateLimited, Unauthorized
from packhook.service.sessions import BrowserSession
from packhook.web.visit import SIGN_IN, Visit


async def form(visit: Visit) -> Response:
    """Show the form; who is signed in already goes on."""
    if visit.session is not None and visit.session.is_operator:
        return RedirectResponse(visit.next_address(visit.query("next")), 303)
    return _form(visit, visit.query("next"))


def _form(visit: Visit, following: str, problem: str = "", status: int = 200) -> Response:
    if visit.session is None:
        visit.session = visit.service.sessions.begin()
    return visit.keep_session(visit.render("sign_in.html", status, following=following, problem=problem))


async def sign_in(visit: Visit) -> Response:
    """Begin a session if the operator key is right."""
    following = visit.form.text("next")
    try:
        principal = await visit.service.access.authenticate(
            visit.form.text("key"), partial(source_in, visit.request.scope, visit.settings.trusted_proxies)
        )
    except Unauthorized:
        return _form(visit, following, "This is not the operator key of this instance.", 403)
    except (Overloaded, RateLimited) as error:
        return _form(visit, following, error.detail, 503)
    if not principal.is_operator:
        return _form(visit, following, "This is an organization's API key. The dashboard needs the operator key.", 403)
    visit.session = await visit.service.sessions.sign_in(visit.actor, "with the operator key")
    return visit.keep_session(RedirectResponse(visit.next_address(following), 303))


async def open_link(visit: Visit) -> Response:
    """Begin a session by a link that works once; where it does not, the form says so."""
    visit.require_person()
    if not visit.service.sign_in_link.use(visit.query("token")):
        return _form(visit, "", "This link has been used, or has expired. Sign in with the operator key.", 403)
    visit.session = await visit.service.sessions.sign_in(visit.actor, "with a sign-in link")
    return visit.keep_session(RedirectResponse(visit.base, 303))


async def sign_out(visit: Visit) -> Response:
    """End the session, in this browser and for every copy of its cookie."""
    if isinstance(visit.session, BrowserSession):
        await visit.service.sessions.end(visit.session, visit.actor)
    return visit.forget_session(visit.redirect(SIGN_IN, notice="signed-out"))
