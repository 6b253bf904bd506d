"""Connection settings by dotted name: `kafka.sasl.mechanism` is the variable `HEADRACE_KAFKA_SASL_MECHANISM`.

A variable whose name ends in `_FILE` names a file with the value, as secrets in containers do.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from headrace.schemas.environment import SettingError

PREFIX = "HEADRACE_"
_FILE = "_FILE"
_KEYS = ("key.pem", "keystore.key", "model.key", "mask.key")
_SECRET = ("password", "passphrase", "secret", "token", "jaas.config", *_KEYS)


class Setting(Struct, frozen=True):
    """A value, and the file that it was read from, if any."""

    value: str
    file: Path | None = None


def variable(name: str) -> str:
    """The variable of a setting.

    >>> variable("kafka.sasl.mechanism"), variable("redis.key_prefix")
    ('HEADRACE_KAFKA_SASL_MECHANISM', 'HEADRACE_REDIS_KEY_PREFIX')
    """
    return PREFIX + name.upper().replace(".", "_")


def is_secret(name: str) -> bool:
    """Whether a setting holds a secret, which belongs in a variable or a file of its own.

    >>> [is_secret(f"kafka.{each}") for each in ("sasl.password", "java.sasl.jaas.config", "ssl.key.location")]
    [True, True, False]
    """
    return name.endswith(_SECRET)


def text(name: str, default: str = "", environment: Mapping[str, str] = os.environ) -> str:
    """The value of a setting.

    Raises:
        SettingError: it is set twice, or its file cannot be read.
    """
    setting = _read(variable(name), environment)
    return setting.value if setting else default


def below(root: str, environment: Mapping[str, str] = os.environ) -> dict[str, Setting]:
    """All settings whose names begin with `root`, by the rest of their names; raises as `text` does.

    >>> below("kafka", {"HEADRACE_KAFKA_SECURITY_PROTOCOL": "SSL", "HEADRACE_REDIS_URL": "redis://r"})
    {'security.protocol': Setting(value='SSL', file=None)}
    """
    return dict(_below(f"{variable(root)}_", environment))


def _below(begin: str, environment: Mapping[str, str]) -> Iterator[tuple[str, Setting]]:
    for name in sorted(environment):
        if not name.startswith(begin):
            continue
        plain = name.removesuffix(_FILE)
        if setting := _read(plain, environment):
            yield plain.removeprefix(begin).lower().replace("_", "."), setting


def _read(name: str, environment: Mapping[str, str]) -> Setting | None:
    """The setting of a variable; an empty one counts as not set."""
    value, path = environment.get(name, ""), environment.get(name + _FILE, "")
    if value and path:
        message = f"{name} and {name}{_FILE} are both set: unset one of them"
        raise SettingError(message)
    if not path:
        return Setting(value) if value else None
    file = Path(path)
    try:
        return Setting(file.read_text().rstrip("\r\n"), file)
    except (OSError, UnicodeDecodeError) as error:
        message = f"{name}{_FILE} names {path}, which cannot be read: {error}. It must be a file that holds the value"
        raise SettingError(message) from error
