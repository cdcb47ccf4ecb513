"""SQL lives in files, one statement each: ``sql/DIALECT/NAME.sql``. This reads them, once."""

from functools import cache
from importlib.resources import files


@cache
def load(dialect: str) -> dict[str, str]:
    """Name to statement for one dialect; the lines of purpose on top are left out."""
    folder = files("packhook.store") / "sql" / dialect
    return {
        entry.name.removesuffix(".sql"): _body(entry.read_text("utf-8"))
        for entry in folder.iterdir()
        if entry.name.endswith(".sql")
    }


def _body(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("--")).strip()
