"""Settings of workers and the feeder, from the command line, a file and the environment."""

import argparse
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field

from headrace.connections.options import add_kafka_option, add_redis_option, add_snapshots_option
from headrace.connections.settings import text
from headrace.errors import UsageProblem
from headrace.models.index.device import index_builder
from headrace.models.ranker.config import DEVICE_VARIABLE, FusionError, RankerConfig, load_ranker_config
from headrace.schemas.defaults import LIVE_MODEL
from headrace.schemas.environment import SettingError
from headrace.schemas.keys import Key, KeyFile, KeysError
from headrace.schemas.keys import checked as checked_keys
from headrace.schemas.limits import DEADLINE_LEAST_MS, DEADLINE_MOST_MS
from headrace.schemas.model.heads import SHIPPED_HEADS, Heads
from headrace.schemas.model.model_file import ModelFileError
from headrace.schemas.patterns import ORIGIN
from headrace.serving.http.keys import key_of_token
from headrace.serving.http.keys import read as read_keys
from headrace.serving.limits import traffic
from headrace.serving.limits.admission import OBJECTIVE_MS
from headrace.serving.limits.traffic import Surface, SurfacesError
from headrace.serving.stages import rules
from headrace.serving.stages.rules import DEFAULTS, Rules, RulesError
from headrace.serving.state import experiment
from headrace.serving.state.experiment import Experiment, ExperimentError
from headrace.store.location import Location, parse_location

KEY_VARIABLE = "HEADRACE_MODEL_KEY"
TOKEN_VARIABLE = "HEADRACE_TOKEN"
KEYS_VARIABLE = "HEADRACE_KEYS"
_SHORTEST_TOKEN = 16
_WORKERS = 2
SPOOL_MB = 1024
_LEAST_SPOOL_MB = 64  # each worker may hold two segments of 4 MB open, and views may fill only a part


class OriginError(ValueError):
    """An entry of `origins` is not an origin."""


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file that `--config` names.

    `rules`: how slates are made, see `serving.stages.rules.Rules`; whatever is left out has its default.
    `surfaces`: tier, deadline and fallback of a surface, see `serving.limits.traffic.Surface`; others are core.
    `objective_ms`: requests are refused that could not be answered in it.
    `origins`: pages of these origins, e.g. `https://shop.example`, may call the API from a browser (CORS); `*` for all.
    """

    experiment: Experiment = field(default_factory=Experiment)
    rules: Rules = DEFAULTS
    surfaces: dict[str, Surface] = field(default_factory=dict[str, Surface])
    objective_ms: Annotated[float, Meta(ge=DEADLINE_LEAST_MS, le=DEADLINE_MOST_MS)] = OBJECTIVE_MS
    origins: list[str] = field(default_factory=list[str])


class Settings(Struct, frozen=True, kw_only=True):
    """Of a worker. `artefacts` is the folder of the fallback list, `snapshots` has the pinned models too.

    `shared`: the folder that the feeder writes the state to.

    `spool`: the folder of records that wait for Kafka, and its bound in MB.
    `keys`: the file of keys; `fixed_keys`: those of the environment, and of the token.
    `ranker`: the settings of the models, the same as the learner's.
    """

    bootstrap: str
    redis: str
    artefacts: Path
    snapshots: Location
    features: Path
    shared: Path
    spool: Path
    spool_mb: int = SPOOL_MB
    host: str
    port: int
    workers: int = 1
    keys: Path | None = None
    fixed_keys: tuple[Key, ...] = ()
    model: str
    config: Config
    device: str = "cpu"
    ranker: RankerConfig = RankerConfig()


class FeederSettings(Struct, frozen=True, kw_only=True):
    """Of the feeder. `key` verifies versions; the other fields as in `Settings`."""

    bootstrap: str
    redis: str
    artefacts: Path
    snapshots: Location
    features: Path
    shared: Path
    spool: Path
    spool_mb: int = SPOOL_MB
    key: bytes
    model: str
    config: Config
    ranker: RankerConfig = RankerConfig()


def parse(arguments: Sequence[str] | None, environment: Mapping[str, str]) -> Settings:
    """Settings of a worker, from the command line, and the token from the environment."""
    parser = command_line(environment)
    options = parser.parse_args(arguments)
    problems: list[str] = []
    options.fixed_keys = ()
    token = _secret("token", environment, problems)
    try:
        options.fixed_keys = _fixed_keys(token, environment)
        checked_keys([*options.fixed_keys, *(read_keys(options.keys) if options.keys else ())])
    except FileNotFoundError:
        pass  # `headrace keys add` makes it; workers look for it
    except (OSError, msgspec.DecodeError, KeysError) as error:
        problems.append(f"{KEYS_VARIABLE} or --keys {options.keys}: {error}")
    if len(token) < _SHORTEST_TOKEN:
        problems.append(
            f"{TOKEN_VARIABLE} has {len(token)} characters, must have at least {_SHORTEST_TOKEN}: "
            "with it, anyone may write events and items"
        )
    if options.workers < 1:
        problems.append(f"--workers is {options.workers}, must be at least 1")
    try:
        index_builder(options.device)
    except ValueError as error:
        problems.append(f"--device: {error}")
    return Settings(**_with_files(options, parser, problems))


def _secret(name: str, environment: Mapping[str, str], problems: list[str]) -> str:
    try:
        return text(name, environment=environment)
    except SettingError as error:
        problems.append(str(error))
        return ""


def _fixed_keys(token: str, environment: Mapping[str, str]) -> tuple[Key, ...]:
    """The keys of the environment, and the key of the token."""
    more = environment.get(KEYS_VARIABLE)
    return (key_of_token(token), *(msgspec.json.decode(more, type=KeyFile).keys if more else ()))


def parse_feeder(arguments: Sequence[str] | None, environment: Mapping[str, str]) -> FeederSettings:
    """Settings of the feeder, from the command line, and the key from the environment."""
    parser = feeder_command_line()
    problems: list[str] = []
    key = _secret("model.key", environment, problems)
    if not key:
        problems.append(f"{KEY_VARIABLE} is not set: it verifies versions, and must be the same as the learner's")
    return FeederSettings(**_with_files(parser.parse_args(arguments), parser, problems), key=key.encode())


def _with_files(options: argparse.Namespace, parser: argparse.ArgumentParser, problems: list[str]) -> dict[str, Any]:
    """The options, with the contents of the files that they name; exits if there are problems."""
    config, ranker = Config(), RankerConfig()
    try:
        options.snapshots = parse_location(options.snapshots or options.artefacts)
    except UsageProblem as error:
        problems.append(f"--snapshots: {error}")
    try:
        ranker = load_ranker_config(options.fusion, options.features)
    except FusionError as error:
        problems.append(f"--fusion: {error}")
    except ModelFileError as error:
        problems.append(f"--features: {error}")
    try:
        config = read_config(options.config, ranker.heads) if options.config else config
    except (OSError, msgspec.DecodeError, ExperimentError, OriginError, RulesError, SurfacesError) as error:
        problems.append(f"--config {options.config}: {error}")
    if options.model in config.experiment.own:
        problems.append(
            f"an arm has a learner for {options.model}, the model of live: write model:live, or another name"
        )
    if options.spool_mb < _LEAST_SPOOL_MB:
        problems.append(f"--spool-mb is {options.spool_mb}, must be at least {_LEAST_SPOOL_MB}")
    if problems:
        parser.error("; ".join(problems))
    values = {name: value for name, value in vars(options).items() if name not in ("config", "fusion")}
    return {**values, "config": config, "ranker": ranker}


def command_line(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    """The options of `python -m headrace.serving`; docs/settings.md lists them."""
    parser = argparse.ArgumentParser(prog="serving", description="The recommendation API.")
    _add_common_options(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8080, help="port to listen on")
    parser.add_argument("--workers", type=int, default=_WORKERS, help="processes that answer requests")
    keys = f"JSON file of keys, read again when it changes; more keys in {KEYS_VARIABLE}"
    parser.add_argument("--keys", type=Path, help=keys)
    device = environment.get(DEVICE_VARIABLE, "cpu")
    parser.add_argument(
        "--device", default=device, help=f"device of the item index, cpu or cuda; default from {DEVICE_VARIABLE}"
    )
    return parser


def feeder_command_line() -> argparse.ArgumentParser:
    """The options of `python -m headrace.serving.feeder`; docs/settings.md lists them."""
    parser = argparse.ArgumentParser(
        prog="headrace.serving.feeder", description="Writes the state that workers answer from."
    )
    _add_common_options(parser)
    return parser


def _add_common_options(parser: argparse.ArgumentParser) -> None:
    add_kafka_option(parser)
    add_redis_option(parser)
    parser.add_argument("--artefacts", required=True, type=Path, help="folder of the popular items to start with")
    add_snapshots_option(parser)
    shared = "folder that the feeder writes the state to, on the same host; best in memory, as /dev/shm"
    parser.add_argument("--shared", required=True, type=Path, help=shared)
    spool = "folder for records that wait while Kafka is away, on a disk; all workers and the feeder of a host share it"
    parser.add_argument("--spool", required=True, type=Path, help=spool)
    parser.add_argument("--spool-mb", type=int, default=SPOOL_MB, help="the largest size of that folder, MB")
    parser.add_argument("--features", type=Path, default=Path("features"), help="the folder of feature files")
    parser.add_argument("--model", default=LIVE_MODEL, help="the model's name, which is the key of its versions")
    parser.add_argument("--config", type=Path, help="JSON file with experiment, rules, surfaces and origins")
    parser.add_argument("--fusion", type=Path, help="JSON file that declares the vectors of items")


def read_config(path: Path, heads: Heads = SHIPPED_HEADS) -> Config:
    """The settings in the file; `heads`: those of the models, which its rules may name.

    Raises:
        OSError, msgspec.DecodeError: it cannot be read. ExperimentError: its experiment is inconsistent.
        OriginError: an entry of `origins` is not an origin. RulesError, SurfacesError: rules or surfaces are not valid.
    """
    config = msgspec.json.decode(path.read_bytes(), type=Config)
    experiment.checked(config.experiment)
    rules.checked(config.rules, heads)
    traffic.checked(config.surfaces)
    if wrong := [origin for origin in config.origins if not re.fullmatch(ORIGIN, origin)]:
        message = (
            f"origins: {wrong[0]!r} is not an origin; write https://shop.example or http://localhost:3000, no path"
        )
        raise OriginError(message)
    return config


def from_environment() -> Settings:
    """Settings of this process, a worker."""
    return parse(None, os.environ)


def feeder_from_environment() -> FeederSettings:
    """Settings of this process, the feeder."""
    return parse_feeder(None, os.environ)
