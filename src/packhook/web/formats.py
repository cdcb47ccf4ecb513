"""Write instants, durations, figures, ids and what receivers sent for people. Pure; ``now`` is an argument."""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from markupsafe import Markup, escape

from packhook.core.clock import DAY, HOUR, MINUTE, SECOND, from_rfc3339, to_rfc3339
from packhook.core.endpoint_findings import fix_of
from packhook.core.model import Attempt, AttemptSummary, Interruption, Webhook
from packhook.core.retry_policy import named
from packhook.core.text import visible, visible_lines
from packhook.service.history import DeliveryDetail

NOTHING: Final = "\N{EN DASH}"
_NARROW: Final = "\N{NARROW NO-BREAK SPACE}"
_UNITS: Final = ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (SECOND, "second"))
_SHORT: Final = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s"))
_HEAD, _TAIL = 4, 4
KIB: Final = 1_024
_INSTANT: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)", re.ASCII)
_PART_OF_URL: Final = re.compile(r"[^/?&]*(?:[/?&]+|$)|.", re.DOTALL)
MAX_LINE: Final = 2_000
MAX_SHOWN: Final = 10_000
"""So many characters of a text from outside are on a page; the whole of it is a file."""
FOLDED_AFTER: Final = 40


def exact(instant: int) -> str:
    """Return an instant as ``30 Nov 2026, 10:02:07.368 UTC``."""
    moment = datetime.fromtimestamp(instant / SECOND, UTC)
    return f"{moment.day} {moment:%b %Y, %H:%M:%S}.{instant % SECOND:03d} UTC"


def clock_time(instant: int) -> str:
    """Return the time of day of an instant with milliseconds, UTC."""
    return to_rfc3339(instant)[11:23]


def day_and_time(instant: int, now: int) -> str:
    """Return the time of day of an instant, with its day unless that is today; UTC."""
    moment, today = (datetime.fromtimestamp(at / SECOND, UTC) for at in (instant, now))
    if moment.date() == today.date():
        return clock_time(instant)
    return f"{moment.day} {moment:%b %H:%M:%S}"


def span(milliseconds: int) -> str:
    """Return a length of time in its two largest units, such as ``2 h 5 min``; below a minute ``12 s``, ``38 ms``."""
    if milliseconds < SECOND:
        return f"{milliseconds}{_NARROW}ms"
    if milliseconds < MINUTE:
        return f"{milliseconds / SECOND:.3g}{_NARROW}s"
    for place, (size, unit) in enumerate(_SHORT[:-1]):
        if milliseconds >= size:
            whole, rest = divmod(milliseconds, size)
            smaller, smaller_unit = _SHORT[place + 1]
            second = f" {rest // smaller}{_NARROW}{smaller_unit}" if rest >= smaller and whole < 10 else ""
            return f"{whole}{_NARROW}{unit}{second}"
    return f"{milliseconds}{_NARROW}ms"


def relative(instant: int, now: int) -> str:
    """Return an instant as people say it: ``3 minutes ago``, ``in 2 hours``, ``just now``."""
    distance = abs(now - instant)
    if distance < 2 * SECOND:
        return "just now"
    size, unit = next((size, unit) for size, unit in _UNITS if distance >= size)
    count = distance // size
    text = f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{text} ago" if instant <= now else f"in {text}"


def time_tag(instant: int | None, now: int, nothing: str = NOTHING) -> Markup:
    """Return a ``<time>`` with the relative time, and the exact one on hover."""
    if instant is None:
        return escape(nothing)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        to_rfc3339(instant), exact(instant), relative(instant, now)
    )


def number(value: float) -> str:
    """Return a figure with commas."""
    return f"{value:,}"


def percent(share: float | None) -> str:
    """Return a share (0 to 1) as per cent. Only everything is 100 %, and only nothing is 0 %."""
    if share is None:
        return NOTHING
    value = share * 100
    if 0 < share < 1:
        value = min(max(value, 0.1), 99.9)
    return f"{value:.0f}{_NARROW}%" if value in (0, 100) else f"{value:.1f}{_NARROW}%"


def signed_percent(share: float) -> str:
    """Return a change as per cent with its sign, such as ``+4 %``."""
    sign = "+" if share >= 0 else "\N{MINUS SIGN}"
    return f"{sign}{abs(share) * 100:,.0f}{_NARROW}%"


def milliseconds(value: int | None) -> str:
    """Return a duration in milliseconds with its unit; a dash if there is none."""
    return NOTHING if value is None else span(value)


def count_of(value: int, one: str, many: str = "") -> str:
    """Return ``1 delivery`` or ``3 deliveries``."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def short_id(identifier: str) -> str:
    """Return an id without its middle: ``evt_…bc77``. A short one stays as it is."""
    prefix, underscore, rest = identifier.partition("_")
    if not underscore or len(rest) <= _HEAD + _TAIL + 4:
        return identifier
    return f"{prefix}_…{rest[-_TAIL:]}"


def host_and_path(url: str) -> str:
    """Return a URL without ``https://``, which is the rule; plain ``http://`` stays, so that it is seen."""
    return visible(url.removeprefix("https://"))


def address(url: str) -> Markup:
    """Return the same for a narrow place: lines break after its parts rather than within a word."""
    return Markup("<wbr>").join(filter(None, _PART_OF_URL.findall(host_and_path(url))))


def host(url: str) -> str:
    """Return the host of a URL."""
    try:
        return urlsplit(url).netloc or url
    except ValueError:
        return url


def shown(text: str) -> str:
    """Return a text from outside with what is not printable escaped."""
    return visible(text)


def body_text(body: bytes) -> str:
    """Return what a receiver or publisher sent as lines that are safe to show; long lines are cut."""
    text = visible_lines(body.decode("utf-8", "replace").replace("\r\n", "\n"))
    return "\n".join(line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]}… (cut)" for line in text.split("\n"))


def pretty_json(data: bytes) -> str:
    """Return JSON with line breaks; what is no JSON as it is."""
    try:
        value: Any = json.loads(data)
        text = json.dumps(value, indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return body_text(data)
    return body_text(text.encode("utf-8", "replace"))


def members(document: str) -> list[tuple[str, str]]:
    """Return the members of a JSON object of texts, such as the headers of a request."""
    return [(name, str(value)) for name, value in json.loads(document or "{}").items()]


def fix(attempt: Attempt | AttemptSummary) -> str:
    """Return what to do about an attempt that failed; "" about one that did not."""
    return fix_of(attempt.error_code, attempt.status_code, attempt.error_message)


def header_lines(headers: Iterable[tuple[str, str]]) -> str:
    """Return headers as lines that are safe to show; what is long is cut."""
    lines = [f"{visible(name)}: {visible(value)}" for name, value in headers]
    return cut("\n".join(line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]}… (cut)" for line in lines))


def cut(text: str) -> str:
    """Return a text, or as much of it as a page shows."""
    if len(text) <= MAX_SHOWN:
        return text
    return f"{text[:MAX_SHOWN]}\n… ({len(text) - MAX_SHOWN:,} more characters are not shown)"


def folded(text: str) -> tuple[str, str, int]:
    """Return the lines of a text that are shown at once, those that are folded away, and how many the latter are."""
    lines = cut(text).split("\n")
    first, rest = lines[:FOLDED_AFTER], lines[FOLDED_AFTER:]
    return "\n".join(first), "\n".join(rest), len(rest)


def size(count: int) -> str:
    """Return a number of bytes with its unit."""
    return f"{count:,}{_NARROW}B" if count < KIB else f"{count / KIB:,.1f}{_NARROW}KiB"


def pairs(values: Iterable[str]) -> list[tuple[str, str]]:
    """Return values with what people read of them, for a select."""
    return [(value, value) for value in values]


def webhook_choices(webhooks: Iterable[Webhook]) -> list[tuple[str, str]]:
    """Return webhooks for a select: by id, with endpoint and event codes."""
    return [
        (webhook.id, f"{host_and_path(webhook.endpoint)} ({', '.join(webhook.event_codes) or webhook.event_code})")
        for webhook in webhooks
    ]


def steps(detail: DeliveryDetail) -> list[Attempt | Interruption]:
    """Return the attempts of a delivery and its interruptions, in order of time."""
    found: list[Attempt | Interruption] = [*detail.attempts, *detail.interruptions]
    return sorted(found, key=lambda step: step.started_at if isinstance(step, Attempt) else step.noticed_at)


def plain(value: object) -> str:
    """Return a value of an audit entry as the API writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def readable(text: str) -> Markup:
    """Return a sentence from outside, with each RFC 3339 time in it as people write one, the exact one on hover."""
    parts = _INSTANT.split(visible(text))
    for place in range(1, len(parts), 2):
        parts[place] = _written(parts[place])
    return Markup("").join(parts)


def _written(text: str) -> Markup:
    try:
        instant = from_rfc3339(text)
    except ValueError:
        return escape(text)
    moment = datetime.fromtimestamp(instant / SECOND, UTC)
    tag = Markup('<time datetime="{}" title="{}">{}</time>')
    return tag.format(text, exact(instant), f"{moment:%H:%M} UTC on {moment.day} {moment:%b}")


def sentence(text: str) -> str:
    """Return a text with a capital letter and a full stop."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}" if text else ""


FILTERS: Final = {
    "address": address,
    "body_text": body_text,
    "clock_time": clock_time,
    "count_of": count_of,
    "cut": cut,
    "day_and_time": day_and_time,
    "exact": exact,
    "fix": fix,
    "folded": folded,
    "header_lines": header_lines,
    "host": host,
    "host_and_path": host_and_path,
    "members": members,
    "milliseconds": milliseconds,
    "named_status": named,
    "number": number,
    "pairs": pairs,
    "percent": percent,
    "plain": plain,
    "pretty_json": pretty_json,
    "readable": readable,
    "relative": relative,
    "sentence": sentence,
    "short_id": short_id,
    "shown": shown,
    "signed_percent": signed_percent,
    "size": size,
    "span": span,
    "steps": steps,
    "time_tag": time_tag,
    "webhook_choices": webhook_choices,
}
