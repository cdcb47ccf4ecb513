"""Test docs/explanation/egress.md: it has the table of the IP policy."""

from docs.pages import read, rows
from packhook.core.ip_policy import ALLOWED_IPV6, DENIED_IPV4, DENIED_IPV6


def test_the_table_of_the_docs_is_the_table_of_the_code() -> None:
    """List the denied networks in the same order: IPv4, then IPv6."""
    page = read("explanation/egress.md")
    documented = [cells[0].strip("`") for cells in rows(page) if "/" in cells[0] and cells[0].startswith("`")]
    assert documented == [str(network) for network in (*DENIED_IPV4, *DENIED_IPV6)]
    assert f"**IPv6:** only `{ALLOWED_IPV6}`" in page
