"""Writes the tables and charts of docs/freshness.md from the study's JSON; `make docs` runs it."""

import argparse
import io
import re
import sys
from collections.abc import Callable, Sequence
from typing import TypeAlias

import matplotlib as mpl
import msgspec
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Chart

from benchmarks.studies import curves
from benchmarks.studies.curves import AGES, FRESH, LABELS, READERS
from benchmarks.studies.freshness_study import RESULT, Result, Run
from benchmarks.studies.lagged import Lagged
from benchmarks.studies.version_ages import Numbers
from headrace.evaluation.metrics import Figure
from headrace.layout import REPOSITORY

DOCS = REPOSITORY / "docs"
PAGE = DOCS / "freshness.md"
_INK = "#1f5f8b"
_STYLE = {
    "svg.hashsalt": "headrace",
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
}
Panel: TypeAlias = Callable[[Axes], None]


def render_charts(result: Result) -> dict[str, str]:
    """The charts of a result, by file name."""
    found: dict[str, str] = {}
    if result.runs:
        found["freshness-age.svg"] = _chart(_age(result, "log_loss"), _age(result, "auc"), _age(result, "newborn_auc"))
        found["freshness-labels.svg"] = _chart(_labels(result, "log_loss"), _labels(result, "calibration"))
        found["freshness-lost.svg"] = _chart(_lost(result, "auc"), _lost(result, "log_loss"))
    if result.recorded is not None:
        found["freshness-recorded.svg"] = _chart(_recorded(result.recorded))
    return found


def update_page(page: str, result: Result) -> str:
    """Replace the tables of the page, each between lines `<!-- name -->` and `<!-- end -->`, with those of `result`."""
    for table in curves.tables(result):
        rows = [table.columns, ("---",) * len(table.columns), *table.rows]
        text = "\n".join(f"| {' | '.join(row)} |" for row in rows)
        mark = f"<!-- {table.name} -->"
        page = re.sub(f"{mark}\n.*?<!-- end -->", f"{mark}\n{text}\n<!-- end -->", page, flags=re.DOTALL)
    return page


def _chart(*panels: Panel) -> str:
    """Panels side by side as SVG; the same panels give the same bytes."""
    with mpl.rc_context(_STYLE):
        chart = Chart(figsize=(3.6 * len(panels), 2.7), layout="constrained")
        for number, panel in enumerate(panels, 1):
            panel(chart.add_subplot(1, len(panels), number))
        out = io.StringIO()
        chart.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _age(result: Result, figure: str) -> Panel:
    differences = [curves.differences(result.runs, _readers, name=age, to=FRESH)[figure] for age in AGES]
    return _line(f"{curves.WORDS[figure]} vs {FRESH}", AGES, differences, style="o-")


def _labels(result: Result, figure: str) -> Panel:
    figures = [curves.spread([run.labels[name][figure] for run in result.runs]) for name in LABELS]
    return _line(curves.WORDS[figure], LABELS, figures, style="o")


def _lost(result: Result, figure: str) -> Panel:
    differences = [curves.differences(result.runs, _readers, name=name, to=FRESH)[figure] for name in READERS[:-1]]
    return _line(f"{curves.WORDS[figure]} vs no loss", READERS[:-1], differences, style="o")


def _recorded(recorded: Lagged) -> Panel:
    values = [Figure(each["recall@10"], recorded.errors["recall@10"]) for each in recorded.figures.values()]
    return _line("recall@10", tuple(recorded.figures), values, style="o-")


def _readers(run: Run) -> dict[str, Numbers]:
    return run.readers


def _line(title: str, names: Sequence[str], figures: Sequence[Figure], *, style: str) -> Panel:
    """A panel with a point and its standard error for each name."""

    def panel(axes: Axes) -> None:
        positions = range(len(names))
        values, errors = [each.value for each in figures], [each.error for each in figures]
        axes.errorbar(positions, values, yerr=errors, fmt=style, color=_INK, capsize=3, markersize=4)
        axes.set_xticks(positions, names)
        axes.margins(x=0.15)
        axes.set_title(title, fontsize=9)

    return panel


def main() -> int:
    """Write the tables of the page and the charts."""
    argparse.ArgumentParser(prog="python -m benchmarks.studies.charts", description=__doc__).parse_args()
    result = msgspec.json.decode(RESULT.read_bytes(), type=Result)
    PAGE.write_text(update_page(PAGE.read_text(encoding="utf-8"), result), encoding="utf-8")
    for name, chart in render_charts(result).items():
        (DOCS / name).write_text(chart, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
