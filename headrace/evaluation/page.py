"""The page that explains an evaluation to people who were not there: one HTML file that needs nothing else."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

import jinja2
from markupsafe import Markup

from headrace.evaluation import charts, wording
from headrace.evaluation.breakdown import FEWEST, FROZEN, PRODUCT, Breakdown, SegmentPart
from headrace.evaluation.metrics import Figure
from headrace.evaluation.outputs import Run
from headrace.evaluation.report import Report

_TEMPLATE = Path(__file__).with_name("page.html.jinja")
_NO_BREAK = "\N{NO-BREAK SPACE}"
_DAYS_MS = 60 * 86_400_000  # logs that are longer have dates without times


def render(run: Run) -> str:
    """The page of a run."""
    report, parts = run.report, run.report.breakdown
    names = _ordered(report)
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"figure": _figure, "share": _share, "count": _count, "number": _number}
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        report=report,
        parts=parts,
        run=run,
        headline=list(wording.headline(report)),
        models=[(wording.title(name, report), wording.describe(name, report), parts.models[name]) for name in names],
        metrics=[(name, wording.metric(name, report)) for name in parts.models[PRODUCT]],
        splits=[(split, list(group)) for split, group in groupby(parts.segments, key=_split)],
        positives=sum(each.part.positives for each in parts.segments if each.split == parts.segments[0].split),
        when=_when(parts),
        charts=dict(_charts(report)),
        fewest=FEWEST,
        product=PRODUCT,
        is_ctr=report.task == "ctr",
        version=version("headrace"),
        today=datetime.now(UTC).date().isoformat(),
    )


def _split(part: SegmentPart) -> str:
    return part.split


def _ordered(report: Report) -> list[str]:
    """The models: the product, its older copies, and the baselines, of which the best comes first."""
    values = {name: numbers.get(report.breakdown.figure, -1.0) for name, numbers in report.baselines.items()}
    return [PRODUCT, FROZEN, *report.lagged, *sorted(values, key=lambda name: -values[name])]


def _charts(report: Report) -> Iterator[tuple[str, Markup]]:
    """The charts by name; without those for which there is nothing to draw."""
    parts, models = report.breakdown, report.breakdown.models
    figures = {
        wording.title(name, report): models[name][parts.figure]
        for name in _ordered(report)
        if parts.figure in models[name]
    }
    if figures:
        yield "bars", Markup(charts.bars(parts.figure, figures, alt=wording.of_bars(parts.figure, figures)))
    if any(each.part.figures for each in parts.buckets):
        alt = wording.of_buckets(parts)
        yield "time", Markup(charts.over_time(parts.figure, parts.buckets, parts.compared, alt=alt))
    if parts.calibration:
        yield "calibration", Markup(charts.calibration(parts.calibration, alt=wording.of_bins(parts.calibration)))
    if parts.sources:
        yield "sources", Markup(charts.sources(parts.sources.each, alt=wording.of_sources(parts.sources)))


def _when(parts: Breakdown) -> Mapping[int, str]:
    """How the page writes the times of the buckets."""
    times = [time_ms for each in parts.buckets for time_ms in (each.first_ms, each.last_ms)]
    form = "%Y-%m-%d" if times and times[-1] - times[0] > _DAYS_MS else "%Y-%m-%d %H:%M"
    return {time_ms: datetime.fromtimestamp(time_ms / 1000, UTC).strftime(form) for time_ms in times}


def _figure(figure: Figure | None) -> str:
    return "" if figure is None else f"{figure.value:.4f} ±{_NO_BREAK}{figure.error:.4f}"


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"


def _count(value: int) -> str:
    return f"{value:,}"


def _number(value: float) -> str:
    return f"{value:.4f}"
