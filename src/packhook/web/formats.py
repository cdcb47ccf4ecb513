"""Write instants, durations, figures, ids and what receivers sent for people. Pure; ``now`` is an argument."""

import json
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from markupsafe import Markup, escape

from packhook.core.clock import DAY, HOUR, MINUTE, SECOND, to_rfc3339
from packhook.core.text import visible, visible_lines

NOTHING: Final = "\N{EN DASH}"
_NARROW: Final = "\N{NARROW NO-BREAK SPACE}"
_UNITS: Final = ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (SECOND, "second"))
_SHORT: Final = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s"))
_HEAD, _TAIL = 4, 4
MAX_LINE: Final = 2_000
FOLDED_AFTER: Final = 40


def exact(instant: int) -> str:
    """Return an instant as ``30 Nov 2026, 10:02:07.368 UTC``."""
    moment = datetime.fromtimestamp(instant / SECOND, UTC)
    return f"{moment.day} {moment:%b %Y, %H:%M:%S}.{instant % SECOND:03d} UTC"


def clock_time(instant: int) -> str:
    """Return the time of day of an instant with milliseconds, UTC."""
    return to_rfc3339(instant)[11:23]


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
    except ValueError:
        return body_text(data)
    return body_text(json.dumps(value, indent=2, ensure_ascii=False).encode("utf-8", "replace"))


def sentence(text: str) -> str:
    """Return a text with a capital letter and a full stop."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}" if text else ""


FILTERS: Final = {
    "body_text": body_text,
    "clock_time": clock_time,
    "count_of": count_of,
    "exact": exact,
    "host": host,
    "host_and_path": host_and_path,
    "milliseconds": milliseconds,
    "number": number,
    "percent": percent,
    "pretty_json": pretty_json,
    "relative": relative,
    "sentence": sentence,
    "short_id": short_id,
    "shown": shown,
    "span": span,
    "time_tag": time_tag,
}
