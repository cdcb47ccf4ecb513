"""Print the health of a webhook in words."""

from typing import Any, Final

from packhook.cli.tables import say, show

HEALTH_COLUMNS: Final = ("webhook_id", "organization_id", "state", "endpoint", "failing_since", "message")
_WINDOWS: Final = {"1h": "Last hour", "24h": "Last 24 hours", "7d": "Last 7 days"}


def show_health(report: dict[str, Any]) -> None:
    """Print the state with its sentence, what waits, the last success and failure, and the attempts by window."""
    say(f"{report['state'].upper()}: {report['message']}")
    say("")
    show({"waiting": _waiting(report), **{name: text for name, text in _facts(report) if text}})
    say("")
    for name, title in _WINDOWS.items():
        say(f"{title}: {_window(report['windows'][name])}")


def _waiting(report: dict[str, Any]) -> str:
    if not report["backlog"]:
        return "nothing"
    count = f"more than {report['backlog']:,}" if report["backlog_has_more"] else f"{report['backlog']:,}"
    oldest = report["oldest_waiting_at"]
    return f"{count}, the oldest since {oldest}" if oldest else count


def _facts(report: dict[str, Any]) -> list[tuple[str, str]]:
    failure = report["last_failure"]
    return [
        ("next attempt", report["next_attempt_at"] or ""),
        ("last success", report["last_success_at"] or ""),
        ("last failure", f"{failure['at']}: {failure['message']}" if failure else ""),
        ("filter", _filter(report["filter_errors"])),
    ]


def _filter(errors: dict[str, Any] | None) -> str:
    if errors is None:
        return ""
    events = "1 event" if errors["count"] == 1 else f"{errors['count']:,} events"
    return f"no value for {events} since {errors['since']}, which count as matches: {errors['message']}"


def _window(counts: dict[str, Any]) -> str:
    if not counts["attempts"]:
        return "no attempts"
    attempts = "1 attempt" if counts["attempts"] == 1 else f"{counts['attempts']:,} attempts"
    text = f"{attempts}, {_percent(counts['success_rate'])} delivered"
    if counts["exhausted"]:
        text += f", {counts['exhausted']:,} given up"
    if counts["p50_ms"] is None:
        return text
    return f"{text}; p50 {counts['p50_ms']:,} ms, p95 {counts['p95_ms']:,} ms, p99 {counts['p99_ms']:,} ms"


def _percent(rate: float) -> str:
    """Return a share as a percentage; it is 100 only if all succeeded, and 0 only if none did."""
    percent = round(100 * rate, 1)
    if rate < 1:
        percent = min(percent, 99.9)
    if rate > 0:
        percent = max(percent, 0.1)
    return f"{percent:g} %"
