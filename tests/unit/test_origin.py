"""Test the name that packhook sends in requests for verification."""

from typing import Any

import pytest

from packhook.core.errors import InvalidSettings
from packhook.settings import load_settings


@pytest.mark.parametrize(
    ("said", "origin"),
    [
        ({}, "packhook"),
        ({"public_url": "https://hooks.example.com:8443/a"}, "hooks.example.com"),
        (
            {"public_url": "https://hooks.example.com", "verification_origin": "events.example.com"},
            "events.example.com",
        ),
        ({"public_url": "http://["}, "packhook"),
        ({"public_url": "https://a\u00fc.example"}, "packhook"),
    ],
)
def test_the_name_by_which_endpoints_are_asked(said: dict[str, Any], origin: str) -> None:
    """Its own setting, else the host of the public URL, else packhook: always one that can stand in a header."""
    assert load_settings(**said).origin == origin


def test_an_origin_that_is_no_name_is_refused() -> None:
    """It goes into a header."""
    with pytest.raises(InvalidSettings, match="verification_origin"):
        load_settings(verification_origin="a\r\nb: c")
