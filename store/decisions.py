"""Topic `control`, followed: the decisions that this software can follow; the others are set aside."""

from schemas.aliases import ALIAS, PIN
from schemas.control import control_of
from schemas.topics import CONTROL_TOPIC
from schemas.version_policy import MODEL, VersionPolicy, parse_version
from store.log import LogReader
from store.quarantine import Quarantine
from store.versions import Versions


class Decisions:
    """What the topic holds, without the records that cannot be followed."""

    def __init__(self, bootstrap: str, quarantine: Quarantine) -> None:
        self._tail = LogReader(bootstrap, CONTROL_TOPIC.name)
        self._quarantine = quarantine

    @property
    def at_end(self) -> bool:
        """Whether the end was reached; half of the decisions are none."""
        return self._tail.at_end

    def read(self, timeout_s: float) -> list[bytes]:
        """The next decisions, none after `timeout_s` without one.

        Raises:
            KafkaException: reading cannot go on. BrokenProgram: most records cannot be followed.
        """
        followed: list[bytes] = []
        for message in self._tail.read(timeout_s):
            payload = message.value()
            if fault := fault_of(payload):
                self._quarantine.set_aside_message(message, fault)
            elif payload is not None:
                self._quarantine.count_handled()
                followed.append(payload)
        return followed

    def close(self) -> None:
        """Leave the topic."""
        self._tail.close()


def fault_of(payload: bytes | None) -> str | None:
    """Why a record of the topic cannot be followed, `<code>: <what is wrong>`; None where it can.

    >>> fault_of(b"?")[:11]
    'unreadable:'
    """
    if payload is None:
        return None
    record = control_of(payload)
    if record is None:
        return f"unreadable: {len(payload)} bytes are no decision; does another version write to this topic?"
    try:
        Versions().apply(record)
        if record.name.startswith(MODEL):
            VersionPolicy().apply(record)
        if record.name.startswith(ALIAS) and record.action == PIN:
            parse_version(record.arguments["version"])
    except Exception as error:  # whatever its words make of us, it is their fault: there is no state yet
        return f"decision: {record.action[:40]!a} of {record.name[:60]!a} cannot be followed: {error!r}"[:500]
    return None
