"""``packhook login`` and ``packhook logout``: keep server, key and organization in a profile, and forget them."""

import io
import sys
from contextlib import redirect_stderr

import typer

from packhook.cli.client import Client
from packhook.cli.exits import Exit, fail
from packhook.cli.files import STANDARD_INPUT
from packhook.cli.profiles import Profile, profile_name, read_profiles, write_profiles
from packhook.cli.secrets import given_key
from packhook.cli.shared_options import (
    DEFAULT_SERVER,
    KeyFileOption,
    KeyOption,
    OrganizationOption,
    ProfileOption,
    ServerOption,
)
from packhook.cli.tables import say
from packhook.core.text import visible
from packhook_client import calls


def login(
    server: ServerOption = None,
    organization: OrganizationOption = None,
    key: KeyOption = None,
    key_file: KeyFileOption = None,
    profile: ProfileOption = None,
) -> None:
    """Keep server, key and organization in a profile, after the server has accepted them. Asks for what is not given.

    Example: packhook login --profile staging --server https://packhook.example -o acme
    """
    name = profile_name(profile)
    profiles = read_profiles()
    before = profiles.get(name, Profile())
    may_ask = sys.stdin is not None and sys.stdin.isatty() and key_file != STANDARD_INPUT
    server = server or _ask("Server", before.server or DEFAULT_SERVER, may_ask=may_ask)
    if organization is None:
        organization = _ask("Organization, or nothing", before.organization, may_ask=may_ask)
    found = given_key(key, key_file)
    if not found and may_ask:
        found = str(typer.prompt("Key", hide_input=True, err=True)).strip()
    if not found:
        fail("no key: give --key-file, with - for standard input, or set PACKHOOK_KEY", Exit.USAGE)
    with Client(server=server, key=found, organization=organization) as client:
        _require_access(client)
    profiles[name] = Profile(server=server, key=found, organization=organization)
    file = write_profiles(profiles)
    of = f", organization {organization}" if organization else ""
    say(f"profile {name} in {file}: {server}{of}")


def logout(profile: ProfileOption = None) -> None:
    """Forget a profile. Its key stays valid until it is revoked. Example: packhook logout --profile staging"""
    name = profile_name(profile)
    profiles = read_profiles()
    if profiles.pop(name, None) is None:
        fail(f"there is no profile {name}", Exit.MISSING)
    file = write_profiles(profiles)
    say(f"profile {name} is no longer in {file}; its key stays valid until you revoke it")


def _ask(what: str, default: str, *, may_ask: bool) -> str:
    if not may_ask:
        return default
    return str(typer.prompt(what, default=visible(default), show_default=bool(default), err=True)).strip()


def _require_access(client: Client) -> None:
    """Exit with a message if the server is away, does not know the key, or the key is not of the organization."""
    client.send(calls.list_event_types(per_page=1))  # any key may read them
    if not client.organization:
        return
    message = io.StringIO()
    try:
        with redirect_stderr(message):
            client.send(calls.list_webhooks(per_page=1))
    except SystemExit as stop:
        if stop.code != Exit.DENIED:  # a key without the scope to read webhooks is a key of the organization
            fail(message.getvalue().rstrip(), Exit(int(stop.code or 0)))
