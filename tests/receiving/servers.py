"""Serve handlers in each web framework that has an adapter, on a real socket of this process."""

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from types import ModuleType
from typing import Any, Final, cast
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import django
import uvicorn
from aiohttp import web
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import path
from fastapi import Depends, FastAPI
from flask import Flask
from starlette.applications import Starlette
from starlette.routing import Route

import packhook_client.receiving.aiohttp as in_aiohttp
import packhook_client.receiving.django as in_django
import packhook_client.receiving.flask as in_flask
import packhook_client.receiving.starlette as in_starlette
from packhook_client.receiving import Delivery

Handlers = Mapping[str, Callable[[Delivery], object]]


@asynccontextmanager
async def asgi(app: Any) -> AsyncIterator[str]:  # noqa: ANN401 any ASGI application
    """Serve an ASGI application with uvicorn in this loop; yield its URL."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="off"))
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup()
    serving = asyncio.create_task(server.main_loop())
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving
        await server.shutdown()


def configure_django() -> None:
    """Configure Django for this process, once: a database in memory, and protection against CSRF."""
    if not settings.configured:
        settings.configure(
            ALLOWED_HOSTS=["127.0.0.1"],
            DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
            LOGGING_CONFIG=None,
            MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware"],
        )
        django.setup()


class _Silent(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def wsgi(app: Any) -> Iterator[str]:  # noqa: ANN401 any WSGI application
    """Serve a WSGI application in a thread; yield its URL."""
    server: WSGIServer = make_server("127.0.0.1", 0, app, handler_class=_Silent)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@asynccontextmanager
async def _threaded(serving: AbstractContextManager[str]) -> AsyncIterator[str]:
    with serving as url:
        yield url


def _starlette(secret: str, handlers: Handlers) -> AbstractAsyncContextManager[str]:
    webhook = in_starlette.webhook(secret)
    return asgi(
        Starlette(routes=[Route(f"/{name}", webhook(handler), methods=["POST"]) for name, handler in handlers.items()])
    )


def _fastapi(secret: str, handlers: Handlers) -> AbstractAsyncContextManager[str]:
    app = FastAPI()
    for name, handler in handlers.items():
        app.post(f"/{name}")(in_starlette.webhook(secret)(handler))
    return asgi(app)


def _fastapi_dependency(secret: str, handlers: Handlers) -> AbstractAsyncContextManager[str]:
    app = FastAPI()
    received: Any = Depends(in_starlette.verified(secret))

    def endpoint(handler: Callable[[Delivery], object]) -> Callable[..., object]:
        async def coroutine(delivery: Delivery = received) -> None:
            await cast("Awaitable[None]", handler(delivery))

        def function(delivery: Delivery = received) -> None:
            handler(delivery)

        return coroutine if inspect.iscoroutinefunction(handler) else function

    for name, handler in handlers.items():
        app.post(f"/{name}", status_code=204)(endpoint(handler))
    return asgi(app)


def _flask(secret: str, handlers: Handlers) -> AbstractAsyncContextManager[str]:
    app = Flask("receiver")
    for name, handler in handlers.items():
        app.post(f"/{name}", endpoint=name)(in_flask.webhook(secret)(handler))
    return _threaded(wsgi(app))


def _django(secret: str, handlers: Handlers) -> AbstractAsyncContextManager[str]:
    urls: Any = ModuleType("urls")
    urls.urlpatterns = [path(name, in_django.webhook(secret)(handler)) for name, handler in handlers.items()]
    configure_django()
    settings.ROOT_URLCONF = urls
    return _threaded(wsgi(get_wsgi_application()))


@asynccontextmanager
async def aiohttp_server(app: web.Application) -> AsyncIterator[str]:
    """Serve an application of aiohttp in this loop; yield its URL."""
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _aiohttp(secret: str, handlers: Handlers) -> AbstractAsyncContextManager[str]:
    app = web.Application()
    for name, handler in handlers.items():
        app.router.add_post(f"/{name}", in_aiohttp.webhook(secret)(handler))
    return aiohttp_server(app)


FRAMEWORKS: Final[dict[str, Callable[[str, Handlers], AbstractAsyncContextManager[str]]]] = {
    "Starlette": _starlette,
    "FastAPI": _fastapi,
    "FastAPI dependency": _fastapi_dependency,
    "Flask": _flask,
    "Django": _django,
    "aiohttp": _aiohttp,
}
"""Each takes a secret and handlers by path, and serves them until the end of its block."""
