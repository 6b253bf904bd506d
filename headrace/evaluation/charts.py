"""The charts of an evaluation's page, as SVG to put into HTML; lines and bars are distinct without colour."""

import io
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure as Drawing

from headrace.evaluation.breakdown import PRODUCT, Bin, Bucket, Figures, SourceWorth

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

_STYLE: dict["RcKeyType", object] = {
    "svg.hashsalt": "headrace",
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.3,
    "hatch.linewidth": 0.6,
}
_LINES = (("-", "o", "#0b3d66"), ("--", "s", "#b35900"), (":", "^", "#5b5b5b"))  # product, frozen, best baseline
_WIDTH = 7.2  # inches
_GUESSING = 0.5  # AUC of predictions that say nothing


def bars(name: str, figures: Figures, *, alt: str) -> str:
    """The main figure of each model, a bar each, with standard errors."""

    def draw(axes: Axes) -> None:
        models, values = list(figures), [each.value for each in figures.values()]
        drawn = axes.barh(
            models,
            values,
            xerr=[each.error for each in figures.values()],
            color=["#0b3d66" if model == PRODUCT else "#c9d3dc" for model in models],
            hatch=["" if model == PRODUCT else "///" for model in models],
            edgecolor="#44505a",
            error_kw={"ecolor": "#000000", "capsize": 3},
        )
        axes.bar_label(drawn, [f" {value:.4f}" for value in values], padding=4)
        axes.invert_yaxis()
        axes.margins(x=0.15)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(f"{name} (line: one standard error to each side)")
        if name == "auc":
            axes.axvline(_GUESSING, color="#000000", linestyle=":", linewidth=1)

    return _svg("bars", draw, height=0.9 + 0.34 * len(figures), alt=alt)


def over_time(name: str, buckets: Sequence[Bucket], models: Sequence[str], *, alt: str) -> str:
    """The main figure of some models in each bucket; errors of the first model only."""

    def draw(axes: Axes) -> None:
        for (line, marker, colour), model in zip(_LINES, models, strict=False):
            drawn = [each for each in buckets if model in each.part.figures]
            times = [datetime.fromtimestamp(each.middle_ms / 1000, UTC) for each in drawn]
            figures = [each.part.figures[model] for each in drawn]
            errors = [each.error for each in figures] if model == models[0] else None
            axes.errorbar(
                times,  # pyright: ignore[reportArgumentType] the stubs know of no times
                [each.value for each in figures],
                yerr=errors,
                fmt=f"{line}{marker}",
                color=colour,
                markerfacecolor=colour if model == models[0] else "white",
                markersize=5,
                capsize=2,
                label=model,
            )
        locator = AutoDateLocator(tz=UTC)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC))
        axes.set_xlabel("time in the log (UTC)")
        axes.set_ylabel(name)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.16), ncols=len(models), frameon=False)

    return _svg("time", draw, height=3.4, alt=alt)


def calibration(bins: Sequence[Bin], *, alt: str) -> str:
    """Observed against predicted share of positives, with the diagonal on which both are the same."""

    def draw(axes: Axes) -> None:
        predicted, observed = [each.predicted for each in bins], [each.observed for each in bins]
        highest = max(*predicted, *observed) * 1.05 or 1.0
        axes.plot([0, highest], [0, highest], linestyle=":", color="#5b5b5b", label="predicted = observed")
        errors = [each.error for each in bins]
        axes.errorbar(predicted, observed, yerr=errors, fmt="o", color="#0b3d66", capsize=3, label=PRODUCT)
        axes.set_xlabel("mean predicted probability")
        axes.set_ylabel("observed share of positives")
        axes.legend(loc="upper left", frameon=False)

    return _svg("calibration", draw, width=4.4, height=4.0, alt=alt)


def sources(worths: Sequence[SourceWorth], *, alt: str) -> str:
    """What each source found, and how much of that no other source found."""

    def draw(axes: Axes) -> None:
        names = [each.name for each in worths]
        shares, alone = [each.share for each in worths], [each.alone for each in worths]
        axes.barh(names, shares, color="#c9d3dc", hatch="///", edgecolor="#44505a", label="found by this source")
        axes.barh(names, alone, color="#0b3d66", edgecolor="#0b3d66", height=0.5, label="found by no other source")
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("share of the scored rows whose item was found")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.2), ncols=2, frameon=False)

    return _svg("sources", draw, height=1.3 + 0.3 * len(worths), alt=alt)


def _svg(name: str, draw: Callable[[Axes], None], *, height: float, alt: str, width: float = _WIDTH) -> str:
    """An SVG element; its ids begin with `name`, so that charts of one page do not share them."""
    with mpl.rc_context():
        mpl.rcdefaults()  # whatever the user's matplotlibrc has
        mpl.rcParams.update(_STYLE)
        drawing = Drawing(figsize=(width, height), layout="constrained")
        draw(drawing.add_subplot())
        out = io.StringIO()
        drawing.savefig(out, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text)  # inside HTML they are implied
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'xlink:href="#', f'href="#{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(alt)}"', 1)
