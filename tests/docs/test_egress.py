"""docs/explanation/egress.md has the table that is decided by."""

from docs.pages import read, rows
from packhook.core.ip_policy import ALLOWED_IPV6, DENIED_IPV4, DENIED_IPV6


def test_the_table_of_the_docs_is_the_table_of_the_code() -> None:
    """In the same order: IPv4, then what is denied of the one IPv6 network that is allowed."""
    page = read("explanation/egress.md")
    told = [cells[0].strip("`") for cells in rows(page) if "/" in cells[0] and cells[0].startswith("`")]
    assert told == [str(network) for network in (*DENIED_IPV4, *DENIED_IPV6)]
    assert f"**IPv6:** only `{ALLOWED_IPV6}`" in page
