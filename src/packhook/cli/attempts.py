"""Print an attempt: when, how long, with what result, and both sides of the exchange."""

from typing import Any

from packhook.cli.tables import say


def show_attempt(attempt: dict[str, Any]) -> None:
    """Print an attempt as the API describes it."""
    result = attempt["error"]["message"] if attempt["error"] else "delivered"
    say("")
    say(f"Attempt {attempt['number']} at {attempt['started_at']}, {attempt['duration_ms']} ms: {result}")
    say(f"  to {attempt['url']}")
    for name, value in attempt["request_headers"].items():
        say(f"  > {name}: {value}")
    if attempt["status_code"] is not None:
        say(f"  < {attempt['status_code']}")
    for name, value in attempt["response_headers"]:
        say(f"  < {name}: {value}")
    if attempt["response_body"]:
        say(f"  {attempt['response_body']!r}")
