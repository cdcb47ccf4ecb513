"""Test the origin that packhook sends in verification requests."""

from typing import Any

import pytest

from packhook.core.errors import InvalidSettings
from packhook.settings_sources import load_settings


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
def test_the_origin_of_verification_requests(said: dict[str, Any], origin: str) -> None:
    """Its own setting, else the host of the public URL, else packhook: always a valid header value."""
    assert load_settings(**said).origin == origin


def test_an_invalid_origin_is_refused() -> None:
    """It is sent in a header."""
    with pytest.raises(InvalidSettings, match="verification_origin"):
        load_settings(verification_origin="a\r\nb: c")
