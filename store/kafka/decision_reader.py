"""Reads topic `control`; sets aside decisions that this software cannot apply."""

from headrace.schemas.control import Control, control_of
from headrace.schemas.topics import CONTROL_TOPIC
from headrace.schemas.versions.aliases import ALIAS, PIN
from headrace.schemas.versions.version_policy import MODEL, VersionPolicy, parse_version
from headrace.store.kafka.log import LogReader
from headrace.store.kafka.quarantine import Quarantine
from headrace.store.versions import Versions


class DecisionReader:
    """The decisions on the topic, without those that cannot be applied."""

    def __init__(self, bootstrap: str, quarantine: Quarantine) -> None:
        self._tail = LogReader(bootstrap, CONTROL_TOPIC.name)
        self._quarantine = quarantine

    @property
    def at_end(self) -> bool:
        """Whether the end was reached; a partly read topic must not be acted on."""
        return self._tail.at_end

    def read(self, timeout_s: float) -> list[bytes]:
        """The next decisions; empty after `timeout_s` without one.

        Raises:
            KafkaException: reading cannot continue. BrokenProgram: most records cannot be applied.
        """
        decisions: list[bytes] = []
        for message in self._tail.read(timeout_s):
            payload = message.value()
            if fault := fault_of(payload):
                self._quarantine.set_aside_message(message, fault)
            elif payload is not None:
                self._quarantine.count_handled()
                decisions.append(payload)
        return decisions

    def close(self) -> None:
        """Leave the topic."""
        self._tail.close()


def fault_of(payload: bytes | None) -> str | None:
    """Why a record of the topic cannot be applied, as `<code>: <what is wrong>`; None if it can.

    >>> fault_of(b"?")
    'unreadable: 1 bytes are not a decision; does another version write to this topic?'
    """
    if payload is None:  # a tombstone decides nothing
        return None
    record = control_of(payload)
    if record is None:
        return f"unreadable: {len(payload)} bytes are not a decision; does another version write to this topic?"
    try:
        Versions().apply(record)
        if record.name.startswith(MODEL):
            VersionPolicy().apply(record)
        if record.name.startswith(ALIAS) and record.action == PIN:
            parse_version(record.arguments["version"])
    except KeyError as error:
        return f"{_named(record)} lacks the argument {error.args[0]!r}; was it written by another version of headrace?"
    except Exception as error:  # there is no state yet, so any failure is the record's fault
        return f"{_named(record)} cannot be applied: {error!r}"
    return None


def _named(record: Control) -> str:
    return f"decision: {record.action[:40]!a} of {record.name[:60]!a}"
