"""`headrace train`: a stretch of the log of samples through the learner's loop, as a model of its own name."""

import math
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Annotated

from cyclopts import Parameter
from msgspec import Struct

from headrace.chain import NAME
from headrace.errors import EnvironmentProblem, UsageProblem
from headrace.layout import Endpoints, Layout
from headrace.lock import alone
from headrace.retreat import decide
from headrace.screen import progress
from headrace.span import Span, offset_of, samples_since, span_of
from headrace.topic import values
from headrace.when import day, moment, utc
from learner.app import App, AppSettings, steady
from learner.guard import Limits
from learner.publish import read_ledger
from learner.settings import LoopSettings
from learner.source import Samples
from learner.stretch import Stretch
from models.config import RankerConfig
from schemas.control import Control, control_of
from schemas.course import MODEL, TRAINED, named
from schemas.topics import CONTROL_TOPIC

_DAY_MS = 86_400_000
_DEFAULT_DAYS = 90
_VERSIONS = 100  # of a stretch, about
_SELDOM_MS = 3_600_000  # between two versions, at most


class Training(Struct, frozen=True, kw_only=True):
    """A stretch, the model that is made of it, and the weights of its samples."""

    model: str
    span: Span
    until_ms: int
    half_life_days: float

    def record(self) -> Control:
        """What is told of it, yet without who and when."""
        arguments = {
            "from": str(self.span.begin),
            "until": str(self.span.until),
            "from_ms": str(self.span.first_ms),
            "until_ms": str(self.until_ms),
            "samples": str(self.span.samples),
            "half_life_days": f"{self.half_life_days:g}",
        }
        why = "trained by replay"
        return Control(name=f"{MODEL}{self.model}", action=TRAINED, arguments=arguments, who="", at=0, why=why)


def train(
    *,
    begin: Annotated[str | None, Parameter(name="--from")] = None,
    to: str | None = None,
    model: str | None = None,
    half_life_days: float = 30.0,
    if_new: int = 0,
) -> None:
    """Make a model anew of samples that the log holds, beside the one that answers; see `headrace models challenge`.

    Exit 0: trained, or too little is new. 1: the range or the name is none. 2: the machine. 75: another one trains.

    Args:
        begin: known from this time on, such as 2026-11-22 or 2026-11-22T03:00; 90 days before the end if not given.
        to: known before this time; now if not given.
        model: its name; ranker-<day of the end> if not given.
        half_life_days: age at the end that halves a sample's weight; inf lets none fade.
        if_new: train only if so many samples came since the last training.
    """
    layout = Layout.here()
    endpoints = layout.endpoints()
    if not half_life_days > 0:
        message = f"--half-life-days is {half_life_days:g}, must be above 0; inf lets nothing fade"
        raise UsageProblem(message)
    with alone(layout.home / "train.lock", what="a training"):
        offset_of(endpoints.bootstrap, 0)  # a broker that is away says so here, and is not waited for below
        new = samples_since(endpoints.bootstrap, learnt_until(endpoints)) if if_new else 0
        if new < if_new:
            sys.stdout.write(f"nothing trained: {new} samples since the last training, --if-new is {if_new}\n")
            return
        until_ms = moment(to) if to else time.time_ns() // 1_000_000
        from_ms = moment(begin) if begin else until_ms - _DEFAULT_DAYS * _DAY_MS
        name = model or f"{NAME}-{day(until_ms - 1)}"
        refuse_a_taken_name(layout, endpoints, name)
        span = span_of(endpoints.bootstrap, from_ms=from_ms, until_ms=until_ms, whole=begin is not None)
        end_ms = min(until_ms, span.last_ms + 1)
        run(layout, endpoints, Training(model=name, span=span, until_ms=end_ms, half_life_days=half_life_days))


def run(layout: Layout, endpoints: Endpoints, training: Training) -> None:
    """Train, and tell topic `control` of it at the end.

    Raises:
        EnvironmentProblem: it was stopped before the end, or the broker did not take it.
    """
    span, log = training.span, layout.logs / "train.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    steady()
    begun_s = time.monotonic()
    with progress() as bar, log.open("a", encoding="utf-8") as file, redirect_stdout(file):
        task = bar.add_task(training.model, total=span.until - span.begin)
        samples = Samples(endpoints.bootstrap, training.model)
        stretch = Stretch(
            samples, until=span.until, seen=lambda offset: bar.update(task, completed=offset - span.begin)
        )
        App(_settings(layout, endpoints, training), stretch).run()
    last = read_ledger(endpoints.bootstrap, training.model)
    entry = last.entry(last.last)
    if entry is None or entry.offset < span.until:
        message = f"{training.model} ends before offset {span.until}: it was stopped; see {log}, and train another name"
        raise EnvironmentProblem(message)
    decide(endpoints, training.record())
    took_s = time.monotonic() - begun_s
    faster = (span.last_ms - span.first_ms) / 1000 / max(took_s, 1e-3)
    sys.stdout.write(
        f"{training.model} {named(last.last)}: {span.samples} samples from {utc(span.first_ms)} to "
        f"{utc(span.last_ms)} in {took_s:.0f} s, {faster:.0f} times as fast as they came; "
        f"`headrace models challenge {training.model}` has serving score with it\n"
    )


def refuse_a_taken_name(layout: Layout, endpoints: Endpoints, model: str) -> None:
    """See that no model has this name yet.

    Raises:
        UsageProblem: one has.
    """
    last = read_ledger(endpoints.bootstrap, model).last
    folder = layout.artefacts / model
    if last != (0, 0) or folder.exists():
        there = f"version {named(last)} on the log" if last != (0, 0) else f"a folder {folder}"
        message = f"the name {model} is taken: there is {there}; give another with --model"
        raise UsageProblem(message)


def trainings(payloads: Sequence[bytes]) -> list[Control]:
    """The records of what was trained, in the topic's order."""
    return [each for each in map(control_of, payloads) if each is not None and each.action == TRAINED]


def learnt_until(endpoints: Endpoints) -> int:
    """The offset of `samples` up to which some training has come; 0 before the first."""
    told = trainings(list(values(endpoints.bootstrap, CONTROL_TOPIC.name)))
    return max((int(each.arguments.get("until", "0")) for each in told), default=0)


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
        limits=Limits(errors=math.inf),
    )
    return AppSettings(
        bootstrap=endpoints.bootstrap,
        artefacts=layout.artefacts,
        key=endpoints.model_key.encode(),
        loop=loop,
        config=RankerConfig(),
        stop_at_end=True,
    )
