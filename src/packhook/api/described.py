"""Describe the API of the running instance: made anew when somebody asks and an event type has changed since."""

import asyncio

import msgspec
from msgspec import Struct

from packhook.api import docs_page
from packhook.api.openapi import describe
from packhook.core.event_types import Catalogue
from packhook.service.service import Service


class Description(Struct, frozen=True, kw_only=True):
    """Hold the OpenAPI document as JSON, and the page that shows it."""

    version: int
    document: bytes
    page: str


class Described:
    """Hold the description of the newest catalogue that somebody asked for."""

    def __init__(self, service: Service, server: str) -> None:
        self._service = service
        self._server = server
        self._description = _description(service.event_types.catalogue, server)
        self._lock = asyncio.Lock()

    async def current(self) -> Description:
        """Return the description of the catalogue as this node knows it; made in a thread, by one request at a time."""
        async with self._lock:
            catalogue = self._service.event_types.catalogue
            if catalogue.version != self._description.version:
                self._description = await asyncio.to_thread(_description, catalogue, self._server)
            return self._description


def _description(catalogue: Catalogue, server: str) -> Description:
    document = describe(catalogue, server)
    return Description(version=catalogue.version, document=msgspec.json.encode(document), page=docs_page.page(document))
