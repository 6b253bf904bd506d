"""A training: what was asked for, what it was begun with so that it can go on, and whether its name is free."""

import sys
import time

import msgspec
from msgspec import Struct

from headrace.errors import UsageProblem
from headrace.layout import Endpoints, Layout
from headrace.log.model_versions import read_model_versions
from headrace.log.sample_range import SampleRange, find_sample_range
from headrace.log.trainings import finished_trainings, is_unfinished, training_file
from headrace.timestamps import day, moment, utc
from headrace.training.triggers import Triggers
from schemas.aliases import MODEL_NAME
from schemas.control import Control
from schemas.defaults import LIVE_MODEL
from schemas.topics import CONTROL_TOPIC
from schemas.version_policy import MODEL, TRAINED, version_text
from store.files import write_durably
from store.log import read_values

_DAY_MS = 86_400_000
_DEFAULT_DAYS = 90
_HALF_LIFE_DAYS = 30.0


class Training(Struct, frozen=True, kw_only=True):
    """A stretch, the model that is made of it, and the weights of its samples; asked for was `from_ms` to `to_ms`."""

    model: str
    span: SampleRange
    from_ms: int
    to_ms: int
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
    """A training as it was asked for; None for an option that was not given; `end_ms` is `to_ms`, or now."""

    model: str
    from_ms: int | None
    to_ms: int | None
    half_life_days: float | None
    end_ms: int

    def training(self, endpoints: Endpoints) -> Training:
        """The training that this is on the log as it is now; a beginning that was given must be on it.

        Raises:
            UsageProblem: the log does not hold the stretch.
        """
        from_ms = self.end_ms - _DEFAULT_DAYS * _DAY_MS if self.from_ms is None else self.from_ms
        whole = self.from_ms is not None
        span = find_sample_range(endpoints.bootstrap, from_ms=from_ms, until_ms=self.end_ms, whole=whole)
        return Training(
            model=self.model,
            span=span,
            from_ms=from_ms,
            to_ms=self.end_ms,
            until_ms=min(self.end_ms, span.last_ms + 1),
            half_life_days=_HALF_LIFE_DAYS if self.half_life_days is None else self.half_life_days,
        )

    def refuse_another(self, begun: Training) -> None:
        """See that the options that were given are those that a training was begun with.

        Raises:
            UsageProblem: one of them is not.
        """
        for option, asked, was, read in (
            ("--from", self.from_ms, begun.from_ms, _time),
            ("--to", self.to_ms, begun.to_ms, _time),
            ("--half-life-days", self.half_life_days, begun.half_life_days, _number),
        ):
            if asked is not None and asked != was:
                message = (
                    f"{option} is {read(asked)}, and {self.model} was begun with {read(was)} and stopped: leave "
                    f"{option} out, and it goes on; or give another name with --model"
                )
                raise UsageProblem(message)


def asked_for(begin: str | None, to: str | None, *, model: str | None, half_life_days: float | None) -> Asked:
    """What the options of `headrace train` say.

    Raises:
        UsageProblem: one of them cannot be.
    """
    if half_life_days is not None and not half_life_days > 0:
        message = f"--half-life-days is {half_life_days:g}, must be above 0; inf lets nothing fade"
        raise UsageProblem(message)
    now_ms = time.time_ns() // 1_000_000_000 * 1000  # a whole second, as it is printed
    to_ms = moment(to) if to else None
    end_ms = now_ms if to_ms is None else to_ms
    name = model or f"{LIVE_MODEL}-{day(end_ms - 1)}"
    if not MODEL_NAME.fullmatch(name):
        message = f"--model is {name!r}: a folder and a process have that name; use small letters, digits and . _ -"
        raise UsageProblem(message)
    from_ms = moment(begin) if begin else None
    if from_ms is not None and from_ms >= end_ms:
        message = f"--from is {utc(from_ms)}, and the end {utc(end_ms)}{'' if to else ', now'}: name an earlier time"
        raise UsageProblem(message)
    return Asked(model=name, from_ms=from_ms, to_ms=to_ms, half_life_days=half_life_days, end_ms=end_ms)


def resumed(layout: Layout, endpoints: Endpoints, asked: Asked) -> Training | None:
    """The training of this name that was begun and stopped, as it was begun; None where there is none.

    Raises:
        UsageProblem: an option says another thing than it was begun with.
    """
    if not is_unfinished(
        layout, asked.model, trained=finished_trainings(read_values(endpoints.bootstrap, CONTROL_TOPIC.name))
    ):
        return None
    training = begun(layout, asked.model)
    asked.refuse_another(training)
    span = training.span
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
    note(layout, training)
    return training


def note(layout: Layout, training: Training) -> None:
    """Keep what a training is begun with, so that it can go on."""
    path = training_file(layout, training.model)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, msgspec.msgpack.encode(training))


def begun(layout: Layout, model: str) -> Training:
    """What the training of a name was begun with.

    Raises:
        UsageProblem: it cannot be read.
    """
    path = training_file(layout, model)
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=Training)
    except (OSError, msgspec.DecodeError) as error:
        message = f"{path} cannot be read: {error}; move {path.parent} away and give another name with --model"
        raise UsageProblem(message) from error


def refuse_a_taken_name(layout: Layout, endpoints: Endpoints, model: str) -> None:
    """See that no model has this name yet.

    Raises:
        UsageProblem: one has.
    """
    last = max(read_model_versions(endpoints, model).versions, default=(0, 0))
    folder = layout.artefacts / model
    if last != (0, 0) or any(path.suffix != ".partial" for path in folder.glob("*")):
        there = f"version {version_text(last)} on the log" if last != (0, 0) else f"a folder {folder}"
        message = f"the name {model} is taken: there is {there}; give another with --model"
        raise UsageProblem(message)


def _time(at_ms: float) -> str:
    return utc(int(at_ms))


def _number(value: float) -> str:
    return f"{value:g}"


def told(line: str) -> None:
    """Say a line to whoever started this, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
