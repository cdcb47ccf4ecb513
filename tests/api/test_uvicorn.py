"""What the API's server relies on of uvicorn. A failure here means: read uvicorn's change before the bound is raised.

``api/publish/protocol.py`` subclasses three of its classes. uvicorn promises nothing about them.
"""

import asyncio
import inspect
import re
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from packhook.api.publish.protocol import BoundedFlowControl, HttpProtocol, PublishRequestCycle

OURS: Final[dict[type, type]] = {
    HttpProtocol: HttpToolsProtocol,
    BoundedFlowControl: FlowControl,
    PublishRequestCycle: RequestResponseCycle,
}
OVERRIDDEN: Final = {
    HttpProtocol: {
        "connection_made": ["self", "transport"],
        "connection_lost": ["self", "exc"],
        "data_received": ["self", "data"],
        "on_message_begin": ["self"],
        "on_headers_complete": ["self"],
        "on_body": ["self", "body"],
        "on_message_complete": ["self"],
        "on_response_complete": ["self"],
        "send_400_response": ["self", "msg"],
        "pause_writing": ["self"],
        "resume_writing": ["self"],
    },
    BoundedFlowControl: {"resume_reading": ["self"]},
    PublishRequestCycle: {"run_asgi": ["self", "app"]},
}
USED: Final = {
    HttpProtocol: {
        "access_log", "access_logger", "connections", "cycle", "expect_100_continue", "flow", "headers", "logger",
        "loop", "parser", "pipeline", "scope", "server_state", "tasks", "transport", "url",
    },
    PublishRequestCycle: {
        "default_headers", "disconnected", "flow", "keep_alive", "on_response", "receive", "response_complete", "scope",
        "transport",
    },
}  # fmt: skip
CYCLE: Final = [
    "self", "scope", "transport", "flow", "logger", "access_logger", "access_log", "default_headers", "message_event",
    "expect_100_continue", "keep_alive", "on_response",
]  # fmt: skip
USED_OF_A_CYCLE: Final = {"disconnected", "message_event", "response_complete"}  # by HttpProtocol, of either kind


def parameters(function: object) -> list[str]:
    """Return the names of a function's parameters."""
    assert callable(function)
    return list(inspect.signature(function).parameters)


def source_of(ours: type) -> str:
    """Return the source of the module of a class."""
    return Path(str(sys.modules[ours.__module__].__file__)).read_text()


def attributes_of(ours: type) -> set[str]:
    """Return the attributes of ``self`` that a class names."""
    return set(re.findall(r"\bself\.(\w+)", inspect.getsource(ours)))


async def application(_scope: object, _receive: object, _send: object) -> None:
    """Respond to nothing; uvicorn wants an application."""


@pytest.fixture
async def of_uvicorn() -> dict[type, object]:
    """Return one of each of uvicorn's own, as uvicorn makes them."""
    config = uvicorn.Config(application, log_config=None)
    made: Any = HttpToolsProtocol(config=config, server_state=ServerState(), app_state={})
    made.on_message_begin()
    flow = FlowControl(asyncio.Transport())
    arguments: dict[str, Any] = dict.fromkeys(CYCLE[1:])
    return {HttpProtocol: made, BoundedFlowControl: flow, PublishRequestCycle: RequestResponseCycle(**arguments)}


@pytest.mark.parametrize("ours", OURS)
def test_only_public_methods_are_overridden(ours: type) -> None:
    """And each has the parameters that it had when it was overridden."""
    theirs = OURS[ours]
    overridden = {name for name in vars(ours) if hasattr(theirs, name) and not name.startswith("__")}
    assert overridden == set(OVERRIDDEN[ours])
    for name, expected in OVERRIDDEN[ours].items():
        assert not name.startswith("_")
        assert parameters(getattr(theirs, name)) == expected, f"uvicorn's {theirs.__name__}.{name} has changed"


@pytest.mark.parametrize("ours", USED)
async def test_only_public_attributes_are_used(ours: type, of_uvicorn: dict[type, object]) -> None:
    """And each is there."""
    public = {name for name in attributes_of(ours) if not name.startswith("_")}
    assert public - set(vars(ours)) == USED[ours]
    for name in USED[ours]:
        assert hasattr(of_uvicorn[ours], name), f"uvicorn's {OURS[ours].__name__} has no {name} any more"


@pytest.mark.parametrize("ours", USED)
async def test_our_own_attributes_hide_none_of_uvicorns(ours: type, of_uvicorn: dict[type, object]) -> None:
    """A private name that uvicorn comes to use would be shared without a word."""
    private = {name for name in attributes_of(ours) if name.startswith("_")}
    assert {name for name in private if hasattr(of_uvicorn[ours], name)} == set()


async def test_cycles(of_uvicorn: dict[type, object]) -> None:
    """HttpProtocol makes cycles, and looks at those that uvicorn made."""
    assert parameters(RequestResponseCycle.__init__) == CYCLE
    for name in USED_OF_A_CYCLE:
        assert hasattr(of_uvicorn[PublishRequestCycle], name), f"uvicorn's RequestResponseCycle has no {name} any more"


def test_server_state() -> None:
    """The headers of every response, and what uvicorn waits for when it stops."""
    state = ServerState()
    assert (state.default_headers, state.connections, state.tasks) == ([], set(), set())


def test_nothing_else_of_uvicorn_is_imported() -> None:
    """Only the three classes."""
    imported = {
        (line[1], name)
        for module in {ours.__module__: ours for ours in OURS}.values()
        for line in re.finditer(r"^from (uvicorn\S*) import (.+)$", source_of(module), re.MULTILINE)
        for name in line[2].split(", ")
    }
    assert imported == {(theirs.__module__, theirs.__name__) for theirs in OURS.values()}
