"""A training: parse its options, save and resume it, and check that its name is free."""

import sys
import time

import msgspec
from msgspec import Struct

from headrace.errors import UsageProblem
from headrace.layout import Endpoints, Layout
from headrace.log.model_versions import read_model_versions
from headrace.log.sample_range import SampleRange, find_sample_range
from headrace.log.trainings import finished_trainings, is_unfinished, training_file
from headrace.schemas.control import Control
from headrace.schemas.defaults import LIVE_MODEL
from headrace.schemas.topics import CONTROL_TOPIC
from headrace.schemas.versions.aliases import MODEL_NAME
from headrace.schemas.versions.version_policy import MODEL, TRAINED, version_text
from headrace.store.files import write_durably
from headrace.store.kafka.log import read_values
from headrace.store.snapshot_files import complete, snapshots_of
from headrace.timestamps import day, parse_time, utc
from headrace.training.archived_samples import history_of
from headrace.training.triggers import Triggers

_DAY_MS = 86_400_000
_DEFAULT_DAYS = 90
_HALF_LIFE_DAYS = 30.0


class Training(Struct, frozen=True, kw_only=True):
    """A range of samples, the model trained from it, and the half-life of the sample weights.

    Attributes:
        span: the samples on the log.
        from_ms: requested begin; `to_ms` is the requested end.
        until_ms: end of the samples that there are.
        archive: location of an archive with those that the log no longer holds, empty for none.
    """

    model: str
    span: SampleRange
    from_ms: int
    to_ms: int
    until_ms: int
    half_life_days: float
    archive: str = ""

    def record(self) -> Control:
        """The record for topic `control`, still without who and when."""
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


class TrainingRequest(Struct, frozen=True, kw_only=True):
    """The options of `headrace train`; None for an option that was not given; `end_ms` is `to_ms`, or now."""

    model: str
    from_ms: int | None
    to_ms: int | None
    half_life_days: float | None
    end_ms: int
    archive: str = ""

    def training(self, endpoints: Endpoints) -> Training:
        """Resolve the request against the log as it is now; a given begin must be on the log.

        Raises:
            UsageProblem: the log does not hold the range.
        """
        from_ms = self.end_ms - _DEFAULT_DAYS * _DAY_MS if self.from_ms is None else self.from_ms
        whole = self.from_ms is not None
        span = find_sample_range(
            history_of(endpoints.bootstrap, self.archive), from_ms=from_ms, until_ms=self.end_ms, whole=whole
        )
        return Training(
            model=self.model,
            span=span,
            from_ms=from_ms,
            to_ms=self.end_ms,
            until_ms=min(self.end_ms, span.last_ms + 1),
            half_life_days=_HALF_LIFE_DAYS if self.half_life_days is None else self.half_life_days,
            archive=self.archive,
        )

    def check_resumes(self, training: Training) -> None:
        """Check that the given options are those that a stopped training was started with.

        Raises:
            UsageProblem: one of them differs.
        """
        for option, given, started_with, text in (
            ("--from", self.from_ms, training.from_ms, _time),
            ("--to", self.to_ms, training.to_ms, _time),
            ("--half-life-days", self.half_life_days, training.half_life_days, _number),
        ):
            if given is not None and given != started_with:
                message = (
                    f"{option} is {text(given)}, but the stopped training of {self.model} was started with "
                    f"{text(started_with)}: leave {option} out to resume it, or give another name with --model"
                )
                raise UsageProblem(message)
        if self.archive and self.archive != training.archive:
            message = (
                f"--archive is {self.archive}, but the stopped training of {self.model} was started with "
                f"{training.archive or 'none'}: leave it out to resume it, or give another name with --model"
            )
            raise UsageProblem(message)


def parse_request(
    begin: str | None, to: str | None, *, model: str | None, half_life_days: float | None, archive: str = ""
) -> TrainingRequest:
    """Parse the options of `headrace train`.

    Raises:
        UsageProblem: an option is not valid.
    """
    if half_life_days is not None and not half_life_days > 0:
        message = f"--half-life-days is {half_life_days:g}, must be above 0; inf gives all samples the same weight"
        raise UsageProblem(message)
    now_ms = time.time_ns() // 1_000_000_000 * 1000  # whole seconds, as printed
    to_ms = parse_time(to) if to else None
    end_ms = now_ms if to_ms is None else to_ms
    name = model or f"{LIVE_MODEL}-{day(end_ms - 1)}"
    if not MODEL_NAME.fullmatch(name):
        message = f"--model is {name!r}: it names a folder and a process; use lower-case letters, digits and . _ -"
        raise UsageProblem(message)
    from_ms = parse_time(begin) if begin else None
    if from_ms is not None and from_ms >= end_ms:
        message = f"--from is {utc(from_ms)}, but the end is {utc(end_ms)}{'' if to else ', now'}: give an earlier time"
        raise UsageProblem(message)
    return TrainingRequest(
        model=name, from_ms=from_ms, to_ms=to_ms, half_life_days=half_life_days, end_ms=end_ms, archive=archive
    )


def resume(layout: Layout, endpoints: Endpoints, request: TrainingRequest) -> Training | None:
    """The stopped training of this name, with its original options; None if there is none.

    Raises:
        UsageProblem: an option differs from the training's.
    """
    if not is_unfinished(
        layout, request.model, trained=finished_trainings(read_values(endpoints.bootstrap, CONTROL_TOPIC.name))
    ):
        return None
    training = load_training(layout, request.model)
    request.check_resumes(training)
    span = training.span
    report(f"resuming the stopped training of {request.model}: {span.samples} samples up to {utc(span.last_ms)}")
    return training


def start(layout: Layout, endpoints: Endpoints, request: TrainingRequest, triggers: Triggers) -> Training | None:
    """Start a new training; None if no trigger calls for one.

    Raises:
        UsageProblem: the name is taken, or the log does not hold the range.
    """
    unmet = triggers.unmet(endpoints)
    if unmet:
        report(f"nothing trained: {unmet}")
        return None
    check_name_is_free(layout, endpoints, request.model)
    training = request.training(endpoints)
    save_training(layout, training)
    return training


def save_training(layout: Layout, training: Training) -> None:
    """Save a training's options, so that it can be resumed."""
    path = training_file(layout, training.model)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, msgspec.msgpack.encode(training))


def load_training(layout: Layout, model: str) -> Training:
    """Load the options of a model's training.

    Raises:
        UsageProblem: the file cannot be read.
    """
    path = training_file(layout, model)
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=Training)
    except (OSError, msgspec.DecodeError) as error:
        message = f"{path} cannot be read: {error}; remove {path.parent}, or give another name with --model"
        raise UsageProblem(message) from error


def check_name_is_free(layout: Layout, endpoints: Endpoints, model: str) -> None:
    """Check that no model has this name yet.

    Raises:
        UsageProblem: a model has it.
    """
    last = max(read_model_versions(endpoints, model).versions, default=(0, 0))
    folder, snapshots = layout.artefacts / model, snapshots_of(layout.snapshots, model)
    is_begun = any(path.suffix != ".partial" for path in folder.glob("*"))
    if last != (0, 0) or is_begun or complete(snapshots):
        taken_by = f"a folder {folder}" if is_begun else f"a snapshot in {snapshots}"
        taken_by = f"version {version_text(last)} on the log" if last != (0, 0) else taken_by
        message = f"the name {model} is taken: there is {taken_by}; give another name with --model"
        raise UsageProblem(message)


def _time(at_ms: float) -> str:
    return utc(int(at_ms))


def _number(value: float) -> str:
    return f"{value:g}"


def report(line: str) -> None:
    """Print a line and flush it."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
