"""Draw charts as SVG, from values alone. Pure: the same values give the same picture.

A chart is stretched to its place, so it has no text: labels are HTML beside it, and a table says the same in figures.
What differs in colour differs in pattern, too.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from math import log10
from typing import Final

from markupsafe import Markup
from msgspec import Struct

from packhook.core.clock import DAY, SECOND
from packhook.core.statistics import Summary

WIDTH: Final = 1_000
HEIGHT: Final = 160
GAP: Final = 0.16
CELLS: Final = 6
FASTEST, SLOWEST = 1, 100_000
"""The ends of the scale of latencies, in milliseconds."""
LATENCIES: Final = ("100 s", "10 s", "1 s", "100 ms", "10 ms", "1 ms")
"""Its labels, from the top: one for each power of ten."""
_STEPS: Final = (1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10)
_FEW: Final = 10


class Part(Struct, frozen=True):
    """Describe one part of a stack: its name, what it is called, and how much of a point it is."""

    name: str
    label: str
    amount: Callable[[Summary], int]


PARTS: Final = (
    Part("delivered", "delivered", lambda point: point.delivered),
    Part("failed", "failed, tried again", lambda point: point.attempts - point.delivered - point.exhausted),
    Part("exhausted", "given up", lambda point: point.exhausted),
)
PERCENTILES: Final = ("p50", "p95", "p99")


def nice_maximum(value: float) -> float:
    """Return the smallest round number that is not below a value; at least 1."""
    size = 1.0
    while size * 10 < value:
        size *= 10
    return next(size * step for step in _STEPS if size * step >= value) if value > 1 else 1.0


def _svg(kind: str, inner: str) -> Markup:
    """Return a picture that screen readers skip: a table says the same."""
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" aria-hidden="true"'
    return Markup(f'<svg class="{kind}" {box}>{inner}</svg>')  # noqa: S704 figures, and addresses that are escaped


def bars(points: Sequence[Summary], link: Callable[[Summary], str] | None = None, step: int = 0) -> Markup:
    """Return stacked bars of attempts, one for each point; each shows its figures on hover, and leads to ``link``."""
    top = top_of(points)
    width = WIDTH / max(1, len(points))
    drawn = [_bar(point, number * width, width, top, link, step) for number, point in enumerate(points)]
    return _svg(
        "bars",
        '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<rect class="hatch-ground" width="6" height="6"/><rect class="hatch-line" width="2.5" height="6"/></pattern>'
        f"</defs>{_grid(4)}{''.join(drawn)}",
    )


def _bar(
    point: Summary, left: float, width: float, top: float, link: Callable[[Summary], str] | None, step: int
) -> str:
    figures = ", ".join(f"{part.amount(point):,} {part.label}" for part in PARTS if part.amount(point))
    title = Markup.escape(f"{moment(point.start)}{_until(point, step)}: {figures or 'no attempts'}")
    cover = f'<rect class="cover" x="{left:.2f}" y="0" width="{width:.2f}" height="{HEIGHT}"/>'
    inner = f"<title>{title}</title>{cover}{_stack(point, left, width, top)}"
    if link is None:
        return f"<g>{inner}</g>"
    return f'<a href="{Markup.escape(link(point))}" tabindex="-1">{inner}</a>'


def _stack(point: Summary, left: float, width: float, top: float) -> str:
    """Return the parts of one bar, from the bottom up; the smallest one can still be seen."""
    parts, bottom = [], float(HEIGHT)
    for part in PARTS:
        height = part.amount(point) / top * HEIGHT
        if height:
            height = max(height, 1.5)
            bottom -= height
            parts.append(
                f'<rect class="{part.name}" x="{left + width * GAP / 2:.2f}" y="{bottom:.2f}" '
                f'width="{width * (1 - GAP):.2f}" height="{height:.2f}"/>'
            )
    return "".join(parts)


def _until(point: Summary, step: int) -> str:
    return f" to {moment(point.start + step)[-5:]}" if step else ""


def _grid(parts: int) -> str:
    """Return a line between each two of equal parts of the height."""
    heights = [HEIGHT * number / parts for number in range(1, parts)]
    return "".join(f'<line class="grid" x1="0" x2="{WIDTH}" y1="{at:.1f}" y2="{at:.1f}"/>' for at in heights)


def lines(points: Sequence[Summary]) -> Markup:
    """Return the percentiles of the receiver's time as lines on a logarithmic scale; no responses make a gap."""
    drawn = [
        f'<polyline class="{name}" points="{" ".join(run)}"/>'
        for name in PERCENTILES
        for run in _runs([_height_of(getattr(point, name)) for point in points])
    ]
    return _svg("lines", _grid(len(LATENCIES) - 1) + "".join(drawn))


def _height_of(duration: int | None) -> float | None:
    """Return where a duration in milliseconds is on the scale from FASTEST (0) to SLOWEST (1)."""
    if duration is None:
        return None
    return min(1.0, max(0.0, log10(duration / FASTEST) / log10(SLOWEST / FASTEST)))


def _runs(heights: Sequence[float | None]) -> list[list[str]]:
    """Return runs of neighbours that have a height (0 to 1), as coordinates; a lone one becomes a short line."""
    width = WIDTH / max(1, len(heights))
    runs: list[list[str]] = [[]]
    for number, height in enumerate(heights):
        if height is None:
            runs.append([])
        else:
            y = HEIGHT * (1 - height)
            runs[-1] += [f"{(number + place) * width:.1f},{y:.1f}" for place in (0.1, 0.9)]
    return [run for run in runs if run]


def spark(points: Sequence[Summary]) -> Markup:
    """Return the same bars without figures and links, small, for a row of a table."""
    top = top_of(points)
    width = WIDTH / max(1, len(points))
    return _svg("spark", "".join(_stack(point, number * width, width, top) for number, point in enumerate(points)))


def scale(points: Sequence[Summary]) -> list[str]:
    """Return the labels of the bars' vertical axis, from the top to nothing."""
    top = top_of(points)
    return [f"{top * share:,.4g}" for share in (1, 0.5, 0)]


def top_of(points: Sequence[Summary]) -> float:
    """Return the value at the top of the bars of these points: its half is a whole number, too."""
    most = max((point.attempts for point in points), default=0)
    return nice_maximum(most) if most > _FEW else max(2, most + most % 2)


def labels(points: Sequence[Summary], until: int) -> list[str]:
    """Return the labels of the horizontal axis: one where each of equal parts of the series begins."""
    if not points:
        return []
    start = points[0].start
    is_long = until - start > 2 * DAY
    count = (until - start) // DAY if is_long else CELLS
    return [moment(start + (until - start) * number // count, day=is_long) for number in range(count)]


def moment(instant: int, *, day: bool = False) -> str:
    """Return an instant as ``14:30``, or its day as ``30 Nov``; UTC."""
    found = datetime.fromtimestamp(instant / SECOND, UTC)
    return f"{found.day} {found:%b}" if day else f"{found:%H:%M}"
