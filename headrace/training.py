"""A training: what was asked for, what it was begun with so that it can go on, and whether its name is free."""

import sys
import time
from collections.abc import Collection, Iterable
from pathlib import Path

import msgspec
from msgspec import Struct

from headrace.chain import NAME
from headrace.errors import UsageProblem
from headrace.layout import Endpoints, Layout
from headrace.span import Span, span_of
from headrace.topic import values
from headrace.triggers import Triggers
from headrace.when import day, moment, utc
from learner.publish import read_ledger
from schemas.aliases import MODEL_NAME
from schemas.control import Control, control_of
from schemas.course import MODEL, TRAINED, named
from schemas.topics import CONTROL_TOPIC

_DAY_MS = 86_400_000
_DEFAULT_DAYS = 90


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


class Asked(Struct, frozen=True, kw_only=True):
    """A training as it was asked for; `whole`: the log must go back to its beginning."""

    model: str
    from_ms: int
    until_ms: int
    whole: bool
    half_life_days: float

    def training(self, endpoints: Endpoints) -> Training:
        """The training that this is on the log as it is now.

        Raises:
            UsageProblem: the log does not hold the stretch.
        """
        span = span_of(endpoints.bootstrap, from_ms=self.from_ms, until_ms=self.until_ms, whole=self.whole)
        end_ms = min(self.until_ms, span.last_ms + 1)
        return Training(model=self.model, span=span, until_ms=end_ms, half_life_days=self.half_life_days)


def asked_for(begin: str | None, to: str | None, *, model: str | None, half_life_days: float) -> Asked:
    """What the options of `headrace train` say.

    Raises:
        UsageProblem: one of them cannot be.
    """
    if not half_life_days > 0:
        message = f"--half-life-days is {half_life_days:g}, must be above 0; inf lets nothing fade"
        raise UsageProblem(message)
    until_ms = moment(to) if to else time.time_ns() // 1_000_000
    name = model or f"{NAME}-{day(until_ms - 1)}"
    if not MODEL_NAME.fullmatch(name):
        message = f"--model is {name!r}: a folder and a process have that name; use small letters, digits and . _ -"
        raise UsageProblem(message)
    return Asked(
        model=name,
        from_ms=moment(begin) if begin else until_ms - _DEFAULT_DAYS * _DAY_MS,
        until_ms=until_ms,
        whole=begin is not None,
        half_life_days=half_life_days,
    )


def resumed(layout: Layout, endpoints: Endpoints, asked: Asked) -> Training | None:
    """The training of this name that was begun and stopped, as it was begun; None where there is none.

    Raises:
        UsageProblem: another stretch is asked for by name than it was begun with.
    """
    begun = _begun(layout, asked.model)
    if not is_unfinished(layout, asked.model, trained=ended(values(endpoints.bootstrap, CONTROL_TOPIC.name))):
        return None
    training = msgspec.msgpack.decode(begun.read_bytes(), type=Training)
    span = training.span
    if asked.whole and asked.training(endpoints) != training:
        message = (
            f"{asked.model} was begun with {span.samples} samples from {utc(span.first_ms)} to {utc(span.last_ms)} and "
            "stopped: leave --from and --to out, and it goes on; or give another name with --model"
        )
        raise UsageProblem(message)
    told(f"{asked.model} was begun and stopped, and goes on: {span.samples} samples up to {utc(span.last_ms)}")
    return training


def due(layout: Layout, endpoints: Endpoints, asked: Asked, triggers: Triggers) -> Training | None:
    """The training asked for; None where its triggers say that none is due.

    Raises:
        UsageProblem: the name is taken, or the log does not hold the stretch.
    """
    lacking = triggers.lacking(endpoints)
    if lacking:
        told(f"nothing trained: {lacking}")
        return None
    refuse_a_taken_name(layout, endpoints, asked.model)
    training = asked.training(endpoints)
    begun = _begun(layout, asked.model)
    begun.parent.mkdir(parents=True, exist_ok=True)
    partial = begun.with_suffix(".partial")
    partial.write_bytes(msgspec.msgpack.encode(training))
    partial.rename(begun)
    return training


def refuse_a_taken_name(layout: Layout, endpoints: Endpoints, model: str) -> None:
    """See that no model has this name yet.

    Raises:
        UsageProblem: one has.
    """
    last = read_ledger(endpoints.bootstrap, model).last
    folder = layout.artefacts / model
    if last != (0, 0) or any(path.suffix != ".partial" for path in folder.glob("*")):
        there = f"version {named(last)} on the log" if last != (0, 0) else f"a folder {folder}"
        message = f"the name {model} is taken: there is {there}; give another with --model"
        raise UsageProblem(message)


def ended(payloads: Iterable[bytes | None]) -> frozenset[str]:
    """The models that these records of topic `control` say were trained to their end."""
    trained = (each.name for each in map(control_of, payloads) if each is not None and each.action == TRAINED)
    return frozenset(name.removeprefix(MODEL) for name in trained)


def is_unfinished(layout: Layout, model: str, *, trained: Collection[str]) -> bool:
    """Whether a training of this name was begun and is not through: its snapshots and log are that training's alone."""
    return model not in trained and _begun(layout, model).exists()


def _begun(layout: Layout, model: str) -> Path:
    """What a training was begun with, so that it can go on."""
    return layout.artefacts / model / "training.msgpack"


def told(line: str) -> None:
    """Say a line to whoever started this, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
