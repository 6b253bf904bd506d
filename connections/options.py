"""The options of a process for its connections. Each has its default from a variable, and no option is a secret."""

import argparse
from collections.abc import Callable

from headrace.connections import kafka_clients, redis_clients
from headrace.connections.settings import text, variable
from headrace.schemas.environment import SettingError


def add_kafka_option(parser: argparse.ArgumentParser) -> None:
    """Add `--bootstrap`. The parser reports what is not valid among the settings below `kafka`."""
    meaning = "Kafka's brokers, host:port separated by commas"
    _add(parser, "--bootstrap", "kafka.bootstrap.servers", meaning, kafka_clients.check)


def add_redis_option(parser: argparse.ArgumentParser) -> None:
    """Add `--redis`. The parser reports what is not valid among the settings below `redis`."""
    _add(parser, "--redis", "redis.url", redis_clients.ADDRESS, redis_clients.check)


def add_snapshots_option(parser: argparse.ArgumentParser) -> None:
    """Add `--snapshots`; empty means the folder of `--artefacts`."""
    name = "snapshots"
    try:
        default = text(name)
    except SettingError as error:
        parser.error(str(error))
    meaning = "folder or bucket, as s3://bucket/folder, of snapshots and pinned versions"
    help_text = f"{meaning}; default from {variable(name)}, else the folder of --artefacts"
    parser.add_argument("--snapshots", default=default, help=help_text)


def _add(parser: argparse.ArgumentParser, option: str, name: str, meaning: str, check: Callable[[str], None]) -> None:
    def checked(value: str) -> str:
        try:
            check(value)
        except SettingError as error:
            raise argparse.ArgumentTypeError(str(error)) from error
        return value

    try:
        default = text(name) or None
    except SettingError as error:
        parser.error(str(error))
    help_text = f"{meaning}; default from {variable(name)}"
    parser.add_argument(option, default=default, required=default is None, type=checked, help=help_text)
