"""What do curves and histograms look like: as SVG, so that a page with them needs nothing else to be shown.

Drawn by hand: a plotting library would be a larger dependency than all that a run needs, for lines and bars.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vine.views.curves import Histogram

_WIDTH, _HEIGHT = 560, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 12, 30, 38
_LEAST = 1e-9  # What is less is nothing on a picture, and has no tenth as a number.
COLOURS = ("#2166ac", "#b2182b", "#4d9221", "#e08214")  # told apart by most who see few colours


@dataclass(frozen=True, slots=True)
class Line:
    """A named line: its heights in equal steps over the whole width."""

    name: str
    heights: Sequence[float]


def lines(title: str, drawn: Sequence[Line], width: float, x_label: str, y_label: str) -> str:
    """Steps over an axis from 0 to `width`."""
    frame = _Frame(width, max((max(line.heights, default=0.0) for line in drawn), default=0.0))
    parts = [*_axes(frame, title, x_label, y_label)]
    for number, line in enumerate(drawn):
        colour = COLOURS[number % len(COLOURS)]
        parts.append(f'<path d="{_steps(frame, line.heights)}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        place = _LEFT + 8 + number * 130
        parts.append(f'<text x="{place}" y="{_TOP - 4}" fill="{colour}">{html.escape(line.name)}</text>')
    return _svg(title, parts)


def bars(title: str, shown: Histogram, x_label: str, y_label: str) -> str:
    """A histogram."""
    frame = _Frame(shown.highest, max(shown.counts, default=0))
    parts = [*_axes(frame, title, x_label, y_label)]
    step = shown.highest / len(shown.counts)
    for number, count in enumerate(shown.counts):
        left, right, top = frame.x(number * step), frame.x((number + 1) * step), frame.y(count)
        size = f'width="{max(0.5, right - left - 1):.1f}" height="{frame.y(0) - top:.1f}"'
        parts.append(f'<rect x="{left:.1f}" y="{top:.1f}" {size} fill="{COLOURS[0]}"/>')
    return _svg(title, parts)


class _Frame:
    """Where values lie on the picture."""

    def __init__(self, width: float, height: float) -> None:
        self.width = width if width > _LEAST else 1.0
        self.height = ticks(height if height > _LEAST else 1.0)[-1]

    def x(self, value: float) -> float:
        return _LEFT + value / self.width * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return _HEIGHT - _BOTTOM - value / self.height * (_HEIGHT - _TOP - _BOTTOM)


def ticks(highest: float, about: int = 4) -> list[float]:
    """Round numbers from 0, about so many steps, the last one at or above `highest`."""
    rough = highest / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    return [step * number for number in range(math.ceil(highest / step - 1e-9) + 1)]


def _steps(frame: _Frame, heights: Sequence[float]) -> str:
    step = frame.width / max(1, len(heights))
    points = []
    for number, height in enumerate(heights):
        y = frame.y(height)
        points.append(f"{frame.x(number * step):.1f},{y:.1f} {frame.x((number + 1) * step):.1f},{y:.1f}")
    return f"M{' L'.join(points)}" if points else ""


def _axes(frame: _Frame, title: str, x_label: str, y_label: str) -> Iterator[str]:
    yield f'<text x="{_LEFT}" y="12" font-weight="bold">{html.escape(title)}</text>'
    for value in ticks(frame.height):
        y = frame.y(value)
        yield f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
        yield f'<text x="{_LEFT - 4}" y="{y + 4:.1f}" text-anchor="end">{_number(value)}</text>'
    for value in ticks(frame.width):
        if value <= frame.width * (1 + 1e-9):
            at = f'x="{frame.x(value):.1f}" y="{_HEIGHT - _BOTTOM + 14}"'
            yield f'<text {at} text-anchor="middle">{_number(value)}</text>'
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    yield f'<text x="{middle}" y="{_HEIGHT - 6}" text-anchor="middle">{html.escape(x_label)}</text>'
    up = (_TOP + _HEIGHT - _BOTTOM) / 2
    yield f'<text transform="translate(12 {up}) rotate(-90)" text-anchor="middle">{html.escape(y_label)}</text>'


def _number(value: float) -> str:
    """1,500; 0.25; 2M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            return f"{value / (1e3 if unit == 'k' else size):g}{unit}"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _svg(title: str, parts: Sequence[str]) -> str:
    size = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}"'
    return f'<svg {size} role="img" aria-label="{html.escape(title)}">{"".join(parts)}</svg>'
