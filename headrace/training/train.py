"""`headrace train`: run the learner's loop over a range of the log of samples, as a model with its own name."""

import math
import time
from contextlib import redirect_stdout
from typing import Annotated

from cyclopts import Parameter

from headrace.console import progress
from headrace.errors import EnvironmentProblem
from headrace.layout import Endpoints, Layout
from headrace.learner.app import App, AppSettings, make_deterministic
from headrace.learner.samples.bounded_source import BoundedSource
from headrace.learner.settings import LoopSettings
from headrace.learner.versions.guard import GuardLimits
from headrace.learner.versions.publish import read_published_versions
from headrace.learner.versions.snapshot import Snapshots
from headrace.log.decision import decide
from headrace.log.sample_range import offset_at
from headrace.schemas.versions.version_policy import version_text
from headrace.stack.model_settings import device, ranker
from headrace.store.snapshot_files import read_meta, snapshots_of
from headrace.timestamps import utc
from headrace.training.archived_samples import samples_of
from headrace.training.lock import exclusive_lock
from headrace.training.request import Training, TrainingRequest, parse_request, report, resume, start
from headrace.training.slots import limit_concurrency
from headrace.training.time_window import check_window
from headrace.training.triggers import Triggers

_DAY_MS = 86_400_000
AT_ONCE = 5
_VERSIONS = 100  # per training, about
_MAX_CADENCE_MS = 3_600_000  # between two versions


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
    archive: str = "",
) -> None:
    """Train a new model from the samples on the log, without touching live; then see `headrace models challenge`.

    Five trainings run at once, others wait. `--model NAME` resumes a stopped training with its original options.
    Exit 0: trained, or no trigger met. 1: not valid as given. 2: the machine lacks something. 75: try again later.

    Args:
        begin: use samples known from this time on, such as 2026-11-22 or 2026-11-22T03:00; default 90 days before --to.
        to: use samples known before this time; default now.
        model: name of the new model; default ranker-<day of --to>.
        half_life_days: age that halves a sample's weight, default 30; inf gives all samples the same weight.
        if_new: train only if this many samples came since the last training, or another --if-… is met.
        if_events: the same for events.
        if_drift: the same for the count of halts, versions out of bounds and features that are shifted now.
        between: start only within these times of the day, UTC, such as 01:00-05:00.
        archive: also use the samples of this archive (`headrace topics archive`).
    """
    request = parse_request(begin, to, model=model, half_life_days=half_life_days, archive=archive)
    _train(request, Triggers(samples=if_new, events=if_events, drifts=if_drift), between=between)


def _train(request: TrainingRequest, triggers: Triggers, *, between: str | None) -> None:
    """Wait for a free slot, then start the training, or resume it."""
    layout = Layout.here()
    device()  # report a missing device or an invalid file before waiting for anything
    ranker(layout)
    endpoints, trainings = layout.endpoints(), layout.home / "trainings"
    check_window(between)
    offset_at(endpoints.bootstrap, 0)  # report a broker that is away before waiting for a slot
    lock = exclusive_lock(trainings / f"{request.model}.lock", what=f"a training of {request.model}")
    with lock, limit_concurrency(trainings, AT_ONCE):
        check_window(between)  # again, because it may have waited
        training = resume(layout, endpoints, request) or start(layout, endpoints, request, triggers)
        if training is not None:
            run(layout, endpoints, training)


def run(layout: Layout, endpoints: Endpoints, training: Training) -> None:
    """Train, and record the training in topic `control` at the end.

    Raises:
        EnvironmentProblem: the training was stopped before its end, or the broker did not accept the record.
    """
    begun_s, span = time.monotonic(), training.span
    if not _is_complete(layout, training):
        _learn(layout, endpoints, training)
    published = read_published_versions(endpoints.bootstrap, training.model, key=endpoints.model_key.encode())
    entry = published.get(published.last)
    if entry is None or entry.offset < span.until or not _is_complete(layout, training):
        message = (
            f"the training of {training.model} was stopped before offset {span.until}, or its last snapshot was "
            "not written; "
            f"`headrace train --model {training.model}` resumes it"
        )
        raise EnvironmentProblem(message)
    decide(endpoints, training.record())
    took_s = time.monotonic() - begun_s
    faster = (span.last_ms - span.first_ms) / 1000 / max(took_s, 1e-3)
    report(
        f"trained {training.model} {version_text(published.last)}: {span.samples} samples from {utc(span.first_ms)} to "
        f"{utc(span.last_ms)} in {took_s:.0f} s, {faster:.0f} times real time; "
        f"`headrace models challenge {training.model}` compares it with live"
    )


def _learn(layout: Layout, endpoints: Endpoints, training: Training) -> None:
    """Learn the range, from the model's newest snapshot on; the learner's output goes to train.log."""
    span, log = training.span, layout.logs / "train.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    make_deterministic()
    with progress() as bar, log.open("a", encoding="utf-8") as file, redirect_stdout(file):
        task = bar.add_task(training.model, total=span.until - span.begin)
        samples = samples_of(endpoints.bootstrap, training.model, training.archive)
        stretch = BoundedSource(
            samples, until=span.until, on_read=lambda offset: bar.update(task, completed=offset - span.begin)
        )
        App(_settings(layout, endpoints, training), stretch).run()


def _is_complete(layout: Layout, training: Training) -> bool:
    """Whether all samples are learned, published and in a snapshot, so that only the record is missing."""
    folder = Snapshots(snapshots_of(layout.snapshots, training.model)).latest()
    return folder is not None and read_meta(folder).offset >= training.span.until


def _settings(layout: Layout, endpoints: Endpoints, training: Training) -> AppSettings:
    pace, span = endpoints.pace, training.span
    line_ms = pace.cadence_s * 1000
    steps = max(1, min((span.last_ms - span.first_ms) // _VERSIONS, _MAX_CADENCE_MS) // line_ms)
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
        snapshots=layout.snapshots,
        key=endpoints.model_key.encode(),
        loop=loop,
        config=ranker(layout),
        stop_at_end=True,
    )
