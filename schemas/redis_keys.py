"""Names of Redis keys and the packing of ZSET members; `store/redis/record.py` describes the records of tiles.

All names begin with the prefix of the environment that this process works for (docs/adr/0033).
"""

from headrace.schemas.environment import setting

_PREFIX = setting(
    "HEADRACE_REDIS_KEY_PREFIX",
    r"[A-Za-z0-9._:-]{0,40}",
    "at most 40 letters, digits, dots, colons, dashes or underscores",
)
MEMBER_SEPARATOR = "\x1f"
MARK = f"{_PREFIX}loaded"
"""The key that says that this store was loaded. On a cluster it is on one node: another's loss alone is not noticed."""
CHANNEL = f"{_PREFIX}changed:"
"""Where the loader publishes what it has changed, followed by `group@version`."""


def tiles_key(group: str, version: int, entity: str) -> str:
    """Key of one entity's tiles; the braces keep an entity's keys on one cluster slot."""
    return f"{_PREFIX}f:{{{entity}}}:{group}@{version}"


def pattern_of(group: str, version: int) -> str:
    """A pattern of SCAN that matches all keys of a version, and some of others."""
    return f"{_PREFIX}[fs]:{{*}}:{group}@{version}*"


def owner_of(key: str) -> str:
    """The entity that a key belongs to.

    >>> owner_of(tiles_key("group", 1, "u{1}"))
    'u{1}'
    """
    return key[key.index("{") + 1 : key.rindex("}:")]


def title_of(key: str) -> str:
    """The version of a group that a key belongs to.

    >>> title_of(tiles_key("group", 1, "u{1}")), title_of(sequence_key("group", 2, "u1", "last"))
    ('group@1', 'group@2')
    """
    return key[key.rindex("}:") + 2 :].partition(":")[0]


def sequence_key(group: str, version: int, entity: str, sequence: str) -> str:
    """Key of the ZSET with one entity's sequence."""
    return f"{_PREFIX}s:{{{entity}}}:{group}@{version}:{sequence}"


def pending_key(group: str, version: int, entity: str, sequence: str) -> str:
    """Key of the ZSET with the rows of a sequence that the pipeline may not have folded yet (docs/adr/0030)."""
    return f"{_PREFIX}p:{{{entity}}}:{group}@{version}:{sequence}"


def pack_member(event_id: str, payload: str, occurred_at: int) -> bytes:
    """A ZSET member that sorts by event id among events of one millisecond.

    It holds the time, ms, in 42 bits without a zero byte, because id and time together identify an event. Without an
    id, as for count(DISTINCT), a value has one member whatever its time.
    """
    time = b"\1" + bytes(0x80 | occurred_at >> shift & 0x7F for shift in range(35, -1, -7)) if event_id else b""
    return event_id.encode() + time + b"\0" + payload.encode()


def payload_of(member: bytes) -> str:
    """The payload in a ZSET member."""
    return member.partition(b"\0")[2].decode(errors="replace")
