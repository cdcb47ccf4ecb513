"""docs/explanation/egress.md has the deny table of the code."""

from docs.pages import read, rows
from packhook.core.ip_policy import ALLOWED_IPV6, DENIED_IPV4, DENIED_IPV6


def test_the_table_of_the_docs_is_the_table_of_the_code() -> None:
    """Compare both in order: IPv4, then the denied parts of the one allowed IPv6 network."""
    page = read("explanation/egress.md")
    documented = [cells[0].strip("`") for cells in rows(page) if "/" in cells[0] and cells[0].startswith("`")]
    assert documented == [str(network) for network in (*DENIED_IPV4, *DENIED_IPV6)]
    assert f"**IPv6:** only `{ALLOWED_IPV6}`" in page
