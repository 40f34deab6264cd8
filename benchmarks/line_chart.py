"""Line charts as small SVG files that look well on light and on dark pages."""

from dataclasses import dataclass, field
from html import escape
from math import floor, log10
from typing import Final

_WIDTH, _HEIGHT = 640, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 150, 40, 45
_COLOURS: Final = ("#c2410c", "#1d4ed8", "#15803d", "#7e22ce")


@dataclass(frozen=True, slots=True)
class Line:
    """A named line; its colour by number."""

    name: str
    points: list[tuple[float, float]]
    colour: int


@dataclass(slots=True)
class Chart:
    """Some lines over the same axes, both from 0."""

    title: str
    across: str
    up: str
    lines: list[Line] = field(default_factory=list)

    def svg(self) -> str:
        """Return the picture."""
        most_x = max(x for line in self.lines for x, _ in line.points)
        most_y = max(y for line in self.lines for _, y in line.points)
        step_x, step_y = _step(most_x), _step(most_y)
        top = step_y * -(-most_y // step_y)
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
            'font-family="system-ui, sans-serif" font-size="13">',
            f"<title>{escape(self.title)}</title>",
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="#ffffff"/>',
            _text(_LEFT, 22, self.title, weight="600"),
            _text((_WIDTH + _LEFT - _RIGHT) / 2, _HEIGHT - 8, self.across, anchor="middle"),
            f'<g transform="translate(14 {(_HEIGHT + _TOP - _BOTTOM) / 2:g}) rotate(-90)">'
            f"{_text(0, 0, self.up, anchor='middle')}</g>",
        ]
        for n in range(int(top / step_y + 0.5) + 1):
            y = _y(n * step_y, top)
            parts.append(
                f'<path d="M{_LEFT} {y:g}H{_WIDTH - _RIGHT}" stroke="#d8dee4" stroke-width="1"/>'
            )
            parts.append(_text(_LEFT - 6, y + 4, f"{n * step_y:g}", anchor="end"))
        parts += [
            _text(_x(n * step_x, most_x), _HEIGHT - 28, f"{n * step_x:g}", anchor="middle")
            for n in range(int(most_x / step_x + 1e-9) + 1)
        ]
        parts += self._drawn(most_x, top)
        return "\n".join([*parts, "</svg>\n"])

    def _drawn(self, most_x: float, top: float) -> list[str]:
        parts = []
        taken = 0.0
        for line in sorted(self.lines, key=lambda line: -line.points[-1][1]):
            colour = _COLOURS[line.colour]
            path = "L".join(f"{_x(x, most_x):.1f} {_y(y, top):.1f}" for x, y in line.points)
            parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
            at = _y(line.points[-1][1], top) + 4
            # Names below each other where lines end close together.
            at = max(at, taken + 16)
            taken = at
            parts.append(_text(_WIDTH - _RIGHT + 8, at, line.name, fill=colour))
        return parts


def _x(value: float, most: float) -> float:
    return _LEFT + value / most * (_WIDTH - _LEFT - _RIGHT)


def _y(value: float, top: float) -> float:
    return _HEIGHT - _BOTTOM - value / top * (_HEIGHT - _TOP - _BOTTOM)


def _step(most: float) -> float:
    """Return a round step that divides an axis into 4 to 10 parts."""
    size = 10.0 ** floor(log10(most / 4))
    return next(size * n for n in (1, 2, 5, 10) if most / (size * n) <= 8)


def _text(
    x: float,
    y: float,
    words: str,
    *,
    anchor: str = "start",
    weight: str = "",
    fill: str = "#1f2328",
) -> str:
    bold = f' font-weight="{weight}"' if weight else ""
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="{fill}"{bold}>'
        f"{escape(words)}</text>"
    )
