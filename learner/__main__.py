"""`python -m headrace.learner`: learn from topic `samples` and publish versions."""

import argparse
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from headrace.connections.options import add_kafka_option, add_snapshots_option
from headrace.connections.settings import text
from headrace.connections.trial import exit_if_refused
from headrace.errors import UsageProblem
from headrace.learner.app import App, AppSettings, make_deterministic
from headrace.learner.settings import LoopSettings
from headrace.learner.versions.guard import GuardLimits
from headrace.models.device import DeviceError, parse_device
from headrace.models.ranker.config import DEVICE_VARIABLE, FusionError, RankerConfig, load_ranker_config
from headrace.schemas.environment import SettingError
from headrace.schemas.model.model_file import ModelFileError
from headrace.store.location import Location, LocationProblem, parse_location, write_problem

KEY_VARIABLE = "HEADRACE_MODEL_KEY"


def parse(arguments: Sequence[str] | None, key: str) -> AppSettings:
    """Parse the command line; `key` signs the versions."""
    parser = command_line()
    options = parser.parse_args(arguments)
    if problems := _problems(options, key):
        parser.error("; ".join(problems))
    loop = LoopSettings(
        model=options.model,
        cadence_ms=options.cadence_s * 1000,
        snapshot_ms=options.snapshot_s * 1000,
        wait_ms=options.wait_s * 1000,
        half_life_ms=options.half_life_s * 1000,
        batch=options.batch,
        seed=options.seed,
        arm=options.arm,
        device=options.device,
        limits=GuardLimits(errors=options.guard_errors, slots=options.guard_slots, windows=options.guard_windows),
    )
    return AppSettings(
        bootstrap=options.bootstrap,
        artefacts=options.artefacts,
        snapshots=_snapshots(options, parser),
        key=key.encode(),
        loop=loop,
        config=_ranker(options, parser),
        warm_start=options.warm_start,
        stop_at_end=options.stop_at_end,
    )


def command_line() -> argparse.ArgumentParser:
    """The options of `python -m headrace.learner`; docs/settings.md lists them."""
    reference = LoopSettings()
    parser = argparse.ArgumentParser(prog="headrace.learner", description=__doc__)
    add_kafka_option(parser)
    parser.add_argument("--artefacts", required=True, type=Path, help="folder of the metrics journal")
    add_snapshots_option(parser)
    parser.add_argument("--model", default=reference.model, help="name of the model, the key of its versions")
    parser.add_argument(
        "--cadence-s",
        type=int,
        default=reference.cadence_ms // 1000,
        help="seconds of the learner's clock between two versions, at least 10",
    )
    parser.add_argument(
        "--snapshot-s",
        type=int,
        default=reference.snapshot_ms // 1000,
        help="the same between two snapshots, a multiple of the cadence",
    )
    parser.add_argument(
        "--wait-s",
        type=int,
        default=reference.wait_ms // 1000,
        help="seconds until a slot closes, as in the samples job",
    )
    parser.add_argument(
        "--half-life-s", type=float, default=math.inf, help="delay of a label that halves its weight, seconds"
    )
    parser.add_argument("--batch", type=int, default=reference.batch, help="samples per micro-batch")
    parser.add_argument("--arm", default=reference.arm, help="learn from the samples of this arm only")
    device = os.environ.get(DEVICE_VARIABLE, reference.device)
    parser.add_argument("--device", default=device, help=f"cpu or cuda; default from {DEVICE_VARIABLE}")
    parser.add_argument("--seed", type=int, default=reference.seed, help="seed of the initial dense tensors")
    _add_guard_options(parser, reference.limits)
    _add_start_options(parser)
    return parser


def _add_guard_options(parser: argparse.ArgumentParser, limits: GuardLimits) -> None:
    parser.add_argument(
        "--guard-errors", type=float, default=limits.errors, help="standard errors off that stop a version"
    )
    parser.add_argument("--guard-slots", type=int, default=limits.slots, help="closed slots that the check needs")
    parser.add_argument("--guard-windows", type=int, default=limits.windows, help="windows seen before the first check")


def _add_start_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fusion", type=Path, help="JSON file that declares the item vectors")
    parser.add_argument("--features", type=Path, help="folder with the model.toml; default `features`, if it exists")
    parser.add_argument(
        "--warm-start",
        default="",
        metavar="MODEL",
        help="without a snapshot of these settings, start from this model's newest one; may be --model itself",
    )
    parser.add_argument("--stop-at-end", action="store_true", help="exit at the end of the log")


def _snapshots(options: argparse.Namespace, parser: argparse.ArgumentParser) -> Location:
    try:
        return parse_location(options.snapshots or options.artefacts)
    except UsageProblem as error:
        parser.error(f"--snapshots: {error}")


def _ranker(options: argparse.Namespace, parser: argparse.ArgumentParser) -> RankerConfig:
    if options.features and not options.features.is_dir():
        parser.error(f"--features: there is no folder {options.features.absolute()}")
    try:
        return load_ranker_config(options.fusion, options.features or Path("features"))
    except FusionError as error:
        parser.error(f"--fusion: {error}")
    except ModelFileError as error:
        parser.error(f"--features: {error}")


def _problems(options: argparse.Namespace, key: str) -> list[str]:
    found: list[str] = []
    if not key:
        found.append(f"{KEY_VARIABLE} is not set; it signs the versions, and serving needs the same key")
    if options.cadence_s < 10:
        found.append(f"--cadence-s is {options.cadence_s}, must be at least 10")
    if options.snapshot_s % max(options.cadence_s, 1):
        found.append(f"--snapshot-s is {options.snapshot_s}, must be a multiple of --cadence-s")
    if options.guard_errors <= 0 or not 2 <= options.guard_windows <= 20:
        found.append(
            f"--guard-errors is {options.guard_errors:g} and --guard-windows {options.guard_windows}, "
            "must be above 0 and from 2 to 20"
        )
    if not options.half_life_s > 0:
        found.append(f"--half-life-s is {options.half_life_s:g}, must be above 0; inf turns the decay off")
    try:
        parse_device(options.device)
    except DeviceError as error:
        found.append(f"--device: {error}")
    if options.batch < 1:
        found.append(f"--batch is {options.batch}, must be positive")
    return found


def main() -> None:
    """Run the learner."""
    try:
        key = text("model.key")
    except SettingError as error:
        sys.exit(f"learner: {error}")
    settings = parse(None, key)
    exit_if_refused(settings.bootstrap)
    if problem := write_problem(settings.snapshots):  # without its newest snapshot it would begin again
        sys.exit(f"learner: {problem}")
    make_deterministic()
    try:
        App(settings).run()
    except LocationProblem as error:
        sys.exit(f"learner: {error}")


if __name__ == "__main__":
    main()
