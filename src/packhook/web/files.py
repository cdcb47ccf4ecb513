"""Send bytes from outside as a file: a browser keeps them, and neither shows nor runs them."""

from typing import Final

from starlette.responses import Response

_KIND: Final = "application/octet-stream"


def file_response(content: bytes, name: str) -> Response:
    """Return the bytes as a file to keep; ``name`` has no quotes."""
    return Response(content, 200, {"content-disposition": f'attachment; filename="{name}"'}, _KIND)
