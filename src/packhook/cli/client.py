"""Asking a running server: one request, one answer, and every problem as a sentence and an exit code."""

import os
from typing import Annotated, Any, Final
from urllib.parse import quote

import httpx
import typer

from packhook.cli.exits import Exit, fail

DEFAULT_SERVER: Final = "http://127.0.0.1:8080"
_CODES: Final = {401: Exit.DENIED, 403: Exit.DENIED, 404: Exit.MISSING, 409: Exit.MISSING, 429: Exit.UNREACHABLE}

Server = Annotated[str, typer.Option("--server", envvar="PACKHOOK_SERVER", help="The server's URL.")]
Key = Annotated[str, typer.Option("--key", envvar="PACKHOOK_KEY", help="An API key; else PACKHOOK_OPERATOR_KEY.")]
Organization = Annotated[
    str, typer.Option("--organization", "-o", envvar="PACKHOOK_ORGANIZATION", help="Whose it is.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the server's JSON, for scripts.")]


def call(
    server: str,
    key: str,
    method: str,
    path: str,
    *,
    body: bytes | None = None,
    json: object = None,
    query: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> Any:  # noqa: ANN401 whatever JSON the server answers
    """The server's answer as JSON, None where it is empty; ends the program with a sentence where there is trouble."""
    known = {name: value for name, value in (query or {}).items() if value is not None}
    bearer = (key or os.environ.get("PACKHOOK_OPERATOR_KEY", "")).strip()
    if not bearer:
        fail("no key: give --key, or set PACKHOOK_KEY or PACKHOOK_OPERATOR_KEY", Exit.DENIED)
    sent = {"authorization": f"Bearer {bearer}", **(headers or {})}
    if not all(each.isascii() and each.isprintable() and each == each.strip() for each in sent.values()):
        fail("a key is visible ASCII, and so is an idempotency key: this one is not", Exit.DENIED)
    if body is not None:
        sent["content-type"] = "application/json"
    try:
        answer = httpx.request(
            method, f"{server.rstrip('/')}/v1{path}", content=body, json=json, params=known, headers=sent,
            trust_env=False, timeout=60,
        )  # fmt: skip
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        fail(f"cannot reach {server}: {error}. Is `packhook serve` running there?", Exit.UNREACHABLE)
    if answer.is_success:
        return _read(answer, server)
    return _tell(answer)


def _read(answer: httpx.Response, server: str) -> Any:  # noqa: ANN401 as above
    try:
        return answer.json() if answer.content else None
    except ValueError:
        fail(f"{server} does not speak JSON: is it packhook?", Exit.UNREACHABLE)


def _tell(answer: httpx.Response) -> None:
    try:
        problem = answer.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {"title": f"the server answered {answer.status_code}"}
    lines = [f"  {each['field']}: {each['message']}" for each in problem.get("errors", [])]
    said = problem.get("title", "") if lines else problem.get("detail") or problem.get("title", "")
    code = _CODES.get(answer.status_code, Exit.UNREACHABLE if answer.status_code >= 500 else Exit.USAGE)
    fail("\n".join([said, *lines]), code)


def organization_path(organization: str) -> str:
    """Where an organization's things are; ends the program where none was named."""
    if not organization:
        fail("which organization? give --organization or set PACKHOOK_ORGANIZATION", Exit.USAGE)
    return f"/organizations/{part(organization)}"


def part(of_path: str) -> str:
    """An id as a part of a path: whatever is in it, it leads to no other thing."""
    return quote(of_path, safe="")
