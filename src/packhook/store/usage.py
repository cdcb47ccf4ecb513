"""Define what is recorded of the use of API keys."""

from msgspec import Struct


class Usage(Struct, frozen=True, kw_only=True):
    """Tell that an API key was used at an instant."""

    api_key_id: str
    at: int
