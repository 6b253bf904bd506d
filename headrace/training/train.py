"""`headrace train`: a stretch of the log of samples through the learner's loop, as a model of its own name."""

import math
import time
from contextlib import redirect_stdout
from typing import Annotated

from cyclopts import Parameter

from headrace.console import progress
from headrace.errors import EnvironmentProblem
from headrace.layout import Endpoints, Layout
from headrace.log.decision import decide
from headrace.log.sample_range import offset_at
from headrace.stack.model_settings import device, ranker
from headrace.timestamps import utc
from headrace.training.lock import alone
from headrace.training.request import Training, asked_for, due, resumed, told
from headrace.training.slots import in_turn
from headrace.training.time_window import refuse_outside
from headrace.training.triggers import Triggers
from learner.app import App, AppSettings, make_deterministic
from learner.bounded_source import BoundedSource
from learner.guard import GuardLimits
from learner.publish import read_published_versions
from learner.settings import LoopSettings
from learner.snapshot import Snapshots, load
from learner.source import Samples
from schemas.version_policy import version_text

_DAY_MS = 86_400_000
AT_ONCE = 5
_VERSIONS = 100  # of a stretch, about
_SELDOM_MS = 3_600_000  # between two versions, at most


def train(
    *,
    begin: Annotated[str | None, Parameter(name="--from")] = None,
    to: str | None = None,
    model: str | None = None,
    half_life_days: float | None = None,
    if_new: int = 0,
    if_events: int = 0,
    if_drift: int = 0,
    between: str | None = None,
) -> None:
    """Make a model anew of samples that the log holds, beside the one that answers; see `headrace models challenge`.

    Five train at once, more wait in the order they came. `--model NAME` takes up one that was stopped, as it was begun.
    Exit 0: trained, or no reason to. 1: it cannot be done as asked. 2: the machine is not well. 75: later.

    Args:
        begin: known from this time on, such as 2026-11-22 or 2026-11-22T03:00; 90 days before the end if not given.
        to: known before this time; now if not given.
        model: its name; ranker-<day of the end> if not given.
        half_life_days: age at the end that halves a sample's weight, 30 if not given; inf lets none fade.
        if_new: train only if so many samples came since the last training, or another --if-… is met.
        if_events: likewise events.
        if_drift: likewise halts of the learner, versions out of bounds, and features that have shifted now.
        between: times of the day, UTC, within which it may begin, such as 01:00-05:00.
    """
    asked = asked_for(begin, to, model=model, half_life_days=half_life_days)
    layout = Layout.here()
    device()  # what is not there, or cannot be followed, says so before anything is waited for
    ranker(layout)
    triggers = Triggers(samples=if_new, events=if_events, drifts=if_drift)
    endpoints, trainings = layout.endpoints(), layout.home / "trainings"
    refuse_outside(between)
    offset_at(endpoints.bootstrap, 0)  # a broker that is away says so here, and is not waited for below
    with alone(trainings / f"{asked.model}.lock", what=f"a training of {asked.model}"), in_turn(trainings, AT_ONCE):
        refuse_outside(between)  # it may have waited
        training = resumed(layout, endpoints, asked) or due(layout, endpoints, asked, triggers)
        if training is not None:
            run(layout, endpoints, training)


def run(layout: Layout, endpoints: Endpoints, training: Training) -> None:
    """Train, and tell topic `control` of it at the end.

    Raises:
        EnvironmentProblem: it was stopped before the end, or the broker did not take it.
    """
    begun_s, span = time.monotonic(), training.span
    if not _is_through(layout, training):
        _learn(layout, endpoints, training)
    published = read_published_versions(endpoints.bootstrap, training.model, key=endpoints.model_key.encode())
    entry = published.get(published.last)
    if entry is None or entry.offset < span.until:
        message = (
            f"{training.model} ends before offset {span.until}: it was stopped; "
            f"`headrace train --model {training.model}` goes on"
        )
        raise EnvironmentProblem(message)
    decide(endpoints, training.record())
    took_s = time.monotonic() - begun_s
    faster = (span.last_ms - span.first_ms) / 1000 / max(took_s, 1e-3)
    told(
        f"{training.model} {version_text(published.last)}: {span.samples} samples from {utc(span.first_ms)} to "
        f"{utc(span.last_ms)} in {took_s:.0f} s, {faster:.0f} times as fast as they came; "
        f"`headrace models challenge {training.model}` has serving score with it"
    )


def _learn(layout: Layout, endpoints: Endpoints, training: Training) -> None:
    """Learn the stretch from where the name's newest snapshot stands; the learner's own words go to train.log."""
    span, log = training.span, layout.logs / "train.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    make_deterministic()
    with progress() as bar, log.open("a", encoding="utf-8") as file, redirect_stdout(file):
        task = bar.add_task(training.model, total=span.until - span.begin)
        samples = Samples(endpoints.bootstrap, training.model)
        stretch = BoundedSource(
            samples, until=span.until, on_read=lambda offset: bar.update(task, completed=offset - span.begin)
        )
        App(_settings(layout, endpoints, training), stretch).run()


def _is_through(layout: Layout, training: Training) -> bool:
    """Whether all is learnt, published and kept, and the record alone is missing."""
    folder = Snapshots(layout.artefacts / training.model / "snapshots").latest()
    return folder is not None and load(folder)[0].offset >= training.span.until


def _settings(layout: Layout, endpoints: Endpoints, training: Training) -> AppSettings:
    pace, span = endpoints.pace, training.span
    line_ms = pace.cadence_s * 1000
    steps = max(1, min((span.last_ms - span.first_ms) // _VERSIONS, _SELDOM_MS) // line_ms)
    loop = LoopSettings(
        model=training.model,
        cadence_ms=steps * line_ms,
        snapshot_ms=steps * line_ms * 10,
        wait_ms=pace.wait_ms,
        fade_ms=training.half_life_days * _DAY_MS,
        until_ms=training.until_ms,
        begin=span.begin,
        device=device(),
        limits=GuardLimits(errors=math.inf),
    )
    return AppSettings(
        bootstrap=endpoints.bootstrap,
        artefacts=layout.artefacts,
        key=endpoints.model_key.encode(),
        loop=loop,
        config=ranker(layout),
        stop_at_end=True,
    )
