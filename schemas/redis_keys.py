"""Names of Redis keys and the packing of what they hold."""

import struct

MEMBER_SEPARATOR = "\x1f"

_FIELD = struct.Struct("<IQ")  # size in s, start in ms
FIELD_BYTES = _FIELD.size


def tiles_key(group: str, version: int, entity: str) -> str:
    """Key of the HASH with one entity's tiles; the braces keep an entity's keys on one cluster slot."""
    return f"f:{{{entity}}}:{group}@{version}"


def owner_of(key: bytes) -> str:
    """The entity that a key is of.

    >>> owner_of(tiles_key("group", 1, "u{1}").encode())
    'u{1}'
    """
    text = key.decode()
    return text[text.index("{") + 1 : text.rindex("}:")]


def sequence_key(group: str, version: int, entity: str, sequence: str) -> str:
    """Key of the ZSET with one entity's sequence."""
    return f"s:{{{entity}}}:{group}@{version}:{sequence}"


def pack_field(size_ms: int, start_ms: int, member: str = "") -> bytes:
    """Name of a tile within its entity.

    >>> unpack_field(pack_field(60_000, 1_700_000_040_000, "shoes"))
    (60000, 1700000040000, 'shoes')
    """
    return _FIELD.pack(size_ms // 1000, start_ms) + member.encode()


def unpack_field(field: bytes) -> tuple[int, int, str]:
    """(size_ms, start_ms, member) of a tile's name."""
    size_s, start_ms = _FIELD.unpack_from(field)
    return size_s * 1000, start_ms, field[FIELD_BYTES:].decode()


def pack_member(event_id: str, payload: str) -> bytes:
    """A ZSET member that sorts by event id among events of one millisecond."""
    return event_id.encode() + b"\0" + payload.encode()


def unpack_member(member: bytes) -> tuple[str, str]:
    """(event_id, payload) of a ZSET member."""
    event_id, _, payload = member.partition(b"\0")
    return event_id.decode(), payload.decode()
