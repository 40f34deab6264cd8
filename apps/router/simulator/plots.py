"""Draws comparisons as SVG and PNG."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import pyplot

from apps.router.simulator.tables import Cell

matplotlib.use("agg")
# The same figures give the same file.
matplotlib.rcParams["svg.hashsalt"] = "motherfluxer"

_COLOURS = ("#c2410c", *(f"#{grey:02x}{grey:02x}{grey + 8:02x}" for grey in range(70, 214, 18)))


def draw(cells: Sequence[Cell], folder: Path) -> list[Path]:
    """Write one picture of all cells and one of each cell's distribution; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = _save(_bars(cells), folder / "comparison")
    for cell in cells:
        name = f"first-token-{cell.condition}-{cell.load.rstrip('%').replace(' ', '-')}"
        files += _save(_distribution(cell), folder / name)
    return files


def _bars(cells: Sequence[Cell]) -> Any:
    figure, (above, below) = pyplot.subplots(2, 1, figsize=(11, 7.5), layout="constrained")
    rules = list(cells[0].by_rule)
    width = 0.85 / len(rules)
    for number, rule in enumerate(rules):
        places = [place + (number - len(rules) / 2 + 0.5) * width for place in range(len(cells))]
        found = [cell.by_rule[rule].all for cell in cells]
        colour = _COLOURS[number % len(_COLOURS)]
        p99s = [one.first_token_s.p99 for one in found]
        above.bar(places, p99s, width, label=rule, color=colour)
        below.bar(places, [one.goodput * 100 for one in found], width, color=colour)
    above.set(ylabel="p99 time to first token, s", yscale="log")
    lowest = min(m.all.goodput for cell in cells for m in cell.by_rule.values()) * 100
    below.set(ylabel="goodput, % of requests", ylim=(max(0, lowest - 3), 100.5))
    names = [f"{cell.condition}\n{cell.load}" for cell in cells]
    for axes in (above, below):
        axes.set_xticks(range(len(cells)), names)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=min(5, len(rules)), frameon=False)
    return figure


def _distribution(cell: Cell) -> Any:
    figure, axes = pyplot.subplots(figsize=(7.5, 4), layout="constrained")
    for number, (rule, measures) in enumerate(cell.by_rule.items()):
        values = [max(value, 1e-3) for value in measures.first_token_s_sorted]
        shares = [100 * (n + 1) / len(values) for n in range(len(values))]
        weight = 2.2 if number == 0 else 1.1
        axes.plot(values, shares, label=rule, color=_COLOURS[number % len(_COLOURS)], lw=weight)
    title = f"{cell.condition}, load {cell.load}"
    axes.set(xlabel="time to first token, s", ylabel="% of requests", xscale="log", title=title)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


def _save(figure: Any, stem: Path) -> list[Path]:
    files = [stem.with_suffix(".svg"), stem.with_suffix(".png")]
    figure.savefig(files[0], metadata={"Date": None})
    figure.savefig(files[1], dpi=120)
    pyplot.close(figure)
    return files
