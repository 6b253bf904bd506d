"""`headrace.toml`: the environments of a project. The settings of one become variables, which all processes read.

    [environments.staging.kafka]
    bootstrap.servers = "kafka.staging:9093"
    sasl.password_file = "/run/secrets/kafka"

is `HEADRACE_KAFKA_BOOTSTRAP_SERVERS` and `HEADRACE_KAFKA_SASL_PASSWORD_FILE` (docs/connect.md).
"""

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from headrace.connections.settings import is_secret, variable
from headrace.errors import UsageProblem
from headrace.layout import ENVIRONMENT_VARIABLE, PROJECT, PROJECT_FILE, project_of

LOCAL = "local"
_FILE = "_file"
_PROBE = "probe"  # librdkafka looks for the system's certificates
SETTINGS = frozenset(
    {"redis.url", "redis.username", "redis.password_file", "redis.tls.ca", "redis.tls.certificate", "redis.tls.key"}
    | {
        "redis.key_prefix",
        "redis.sentinel.username",
        "redis.sentinel.password_file",
        "topics.prefix",
        "topics.partitions",
        "topics.replication",
        "topics.retention_days",
        "flink.url",
        "api.url",
    }
    | {"token_file", "model.key_file", "mask.key_file", "artefacts", "snapshots"}
)
_PATHS = (_FILE, ".location", "redis.tls.ca", "redis.tls.certificate", "redis.tls.key", "artefacts", "snapshots")


def enter(name: str, variables: MutableMapping[str, str] = os.environ, folder: Path | None = None) -> None:
    """Put the settings of an environment into variables; those that are set already stay as they are.

    Args:
        name: the environment; empty takes HEADRACE_ENV, else `local`.
        variables: to put them into.
        folder: where to begin to look for the file, upward; by default this process's project.

    Raises:
        UsageProblem: there is no such environment, or the file is not valid; the message lists all problems.
    """
    name = name or variables.get(ENVIRONMENT_VARIABLE, "") or LOCAL
    variables[ENVIRONMENT_VARIABLE] = name
    file = find(folder or PROJECT)
    if file is None:
        if name == LOCAL:
            return
        message = f"there is no environment {name!r}, because there is no {PROJECT_FILE} here or in a folder above"
        raise UsageProblem(message)
    for key, value in settings(file, name).items():
        if not any(map(variables.get, (key, f"{key}_FILE", key.removesuffix("_FILE")))):
            variables[key] = value


def settings_of_environment() -> dict[str, str]:
    """The settings of the environment that was entered; raises as `enter` does."""
    file = find(PROJECT)
    return settings(file, os.environ.get(ENVIRONMENT_VARIABLE, "") or LOCAL) if file else {}


def find(folder: Path) -> Path | None:
    """The project file of a folder, or of the nearest folder above that has one."""
    project = project_of(folder)
    return project / PROJECT_FILE if project else None


def settings(file: Path, name: str) -> dict[str, str]:
    """The settings of an environment as variables; raises as `enter` does."""
    try:
        environments = _environments(tomllib.loads(file.read_text()), file)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        message = f"{file} cannot be read: {error}"
        raise UsageProblem(message) from error
    if name not in environments:
        if name == LOCAL:
            return {}
        message = f"{file} has no environment {name!r}; it has {', '.join([LOCAL, *sorted(environments)])}"
        raise UsageProblem(message)
    found = dict(_flat(environments[name], ""))
    if problems := [*_problems(found, f"environments.{name}")]:
        message = f"{file}: {'; '.join(problems)}"
        raise UsageProblem(message)
    return {variable(key): _text(key, value, file.parent) for key, value in found.items()}


def _environments(content: Mapping[str, Any], file: Path) -> dict[str, dict[str, Any]]:
    environments = content.get("environments", {})
    unknown = sorted(content.keys() - {"environments"})
    if unknown or not _is_table(environments) or not all(map(_is_table, environments.values())):
        seen = f"has {unknown[0]!r} at its top" if unknown else "has an environment that is not a table"
        message = f"{file} {seen}: write tables such as [environments.staging.kafka]"
        raise UsageProblem(message)
    return environments


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


def _flat(table: Mapping[str, Any], begin: str) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{begin}{key}.")
        else:
            yield begin + key, value


def _problems(found: Mapping[str, Any], where: str) -> Iterator[str]:
    for key, value in found.items():
        if is_secret(key):
            yield f"{where}.{key} is a secret: set {variable(key)}, or name a file with {key}_file"
        elif not key.startswith("kafka.") and key not in SETTINGS:
            near = difflib.get_close_matches(key, SETTINGS, 1)
            yield f"{where}.{key} is not a setting; {f'{near[0]} is' if near else 'docs/connect.md lists them'}"
        elif not isinstance(value, str | int | float):
            yield f"{where}.{key} is {value!r}, must be a text or a number"


def _text(key: str, value: str | float | bool, folder: Path) -> str:
    """A value as a variable holds it; a path that is not absolute is one from the file's folder."""
    if isinstance(value, bool):
        return str(value).lower()
    is_path = key.endswith(_PATHS) and value != _PROBE and "://" not in str(value)
    return str(folder / str(value)) if is_path else str(value)
