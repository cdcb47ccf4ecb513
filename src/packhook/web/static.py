"""Static files: our own styles and scripts, read once; their addresses name their content, so browsers keep them."""

import hashlib
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

from starlette.responses import Response

_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_KEEP: Final = {"cache-control": "public, max-age=31536000, immutable"}
_DIGITS: Final = 12


class StaticFiles:
    """Serve the files of ``web/static`` below one path, and ``made`` ones by their names."""

    def __init__(self, base: str, made: Mapping[str, bytes]) -> None:
        self._base = base
        self._files: dict[str, tuple[bytes, str]] = {}
        self._addresses: dict[str, str] = {}
        found = {file.name: file.read_bytes() for file in files("packhook.web").joinpath("static").iterdir()}
        for file_name, content in {**found, **made}.items():
            name, _, kind = file_name.rpartition(".")
            if kind in _TYPES:
                digest = hashlib.sha256(content).hexdigest()[:_DIGITS]
                address = f"{base}{name}.{digest}.{kind}"
                self._addresses[file_name] = address
                self._files[address] = content, _TYPES[kind]

    def address(self, name: str) -> str:
        """Return the address of a file. KeyError if there is none."""
        return self._addresses[name]

    def response(self, path: str, method: str) -> Response | None:
        """Return the file at this path, a 404 where there is none; None if the path is not one of static files."""
        if not path.startswith(self._base):
            return None
        found = self._files.get(path)
        if found is None:
            return Response("no such file", 404, media_type="text/plain")
        if method not in ("GET", "HEAD"):
            return Response("a file can only be read", 405, media_type="text/plain")
        return Response(found[0] if method == "GET" else b"", 200, _KEEP, found[1])
