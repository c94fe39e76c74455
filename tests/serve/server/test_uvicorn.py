"""The uvicorn internals in use: a release that changes one of them fails here first."""

from __future__ import annotations

import asyncio
import inspect
import tomllib
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from uvicorn import _types
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from crossaisle.serve.limits.server import ServerLimits
from crossaisle.serve.server.protocol import HttpProtocol, config

METHODS: dict[type[Any], dict[str, list[str]]] = {
    HttpToolsProtocol: {
        "__init__": ["config", "server_state", "app_state", "_loop"],
        "connection_made": ["transport"],
        "connection_lost": ["exc"],
        "data_received": ["data"],
        "on_message_begin": [],
        "on_url": ["url"],
        "on_header": ["name", "value"],
        "on_headers_complete": [],
        "on_body": ["body"],
        "on_response_complete": [],
        "send_400_response": ["msg"],
        "pause_writing": [],
        "resume_writing": [],
        "shutdown": [],
        "_start_asgi_task": ["cycle", "app"],
        "_unsupported_upgrade_warning": [],
    },
    FlowControl: {"pause_reading": [], "resume_reading": []},
    uvicorn.Server: {
        "startup": ["sockets"],
        "on_tick": ["counter"],
        "shutdown": ["sockets"],
        "handle_exit": ["sig", "frame"],
    },
}
NAMES = [(kind, name) for kind, methods in METHODS.items() for name in methods]


@pytest.mark.parametrize(("kind", "name"), NAMES, ids=lambda one: getattr(one, "__name__", one))
def test_methods_that_are_overridden_or_called(kind: type[Any], name: str) -> None:
    parameters = list(inspect.signature(getattr(kind, name)).parameters)
    assert parameters[1:] == METHODS[kind][name]


def protocol() -> HttpProtocol:
    made = config(lambda *_: None, limits=ServerLimits(max_connections=7))
    made.load()
    return HttpProtocol(config=made, server_state=ServerState(), app_state={})


def test_state_of_a_connection() -> None:
    async def run() -> None:
        one = protocol()
        assert one.connections == set()
        assert len(one.pipeline) == 0
        assert one.cycle is None
        for name in ("loop", "transport", "flow", "config"):
            assert hasattr(one, name), name

    asyncio.run(run())


def test_state_of_a_request() -> None:
    attributes = inspect.getsource(RequestResponseCycle.__init__)
    for name in ("disconnected", "response_started", "response_complete", "more_body", "message_event"):
        assert f"self.{name}" in attributes, name


def test_state_of_a_server() -> None:
    made = config(lambda *_: None)
    made.load()
    server = uvicorn.Server(made)
    assert server.server_state.connections == set()
    assert server.should_exit is False
    assert server.config is made
    assert made.http_protocol_class is HttpProtocol
    assert hasattr(made.lifespan_class(made), "state")
    # As `balancing.Server` makes its connections.
    made_by = inspect.getsource(uvicorn.Server.startup)
    for name in ("http_protocol_class", "server_state=self.server_state", "app_state=self.lifespan.state"):
        assert name in made_by, name


def test_the_line_of_the_log_that_any_client_could_fill() -> None:
    source = inspect.getsource(httptools_impl)
    assert '"Invalid HTTP request received."' in source
    assert 'logging.getLogger("uvicorn.error")' in source


def test_types() -> None:
    assert _types.ASGI3Application is not None


def test_no_other_release_is_installed_than_those_tested() -> None:
    root = Path(__file__).parents[3]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    (extra,) = [one for one in project["optional-dependencies"]["serve"] if one.startswith("uvicorn")]
    (tested,) = [
        line for line in (root / "constraints.txt").read_text().splitlines() if line.startswith("uvicorn")
    ]
    assert extra.partition(",")[2] == tested.removeprefix("uvicorn"), f"{extra}, {tested}"
