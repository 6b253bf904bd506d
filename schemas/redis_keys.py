"""Names of Redis keys and the packing of ZSET members; what a record of tiles holds is said in `store/record.py`."""

MEMBER_SEPARATOR = "\x1f"


def tiles_key(group: str, version: int, entity: str) -> str:
    """Key of one entity's tiles; the braces keep an entity's keys on one cluster slot."""
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


def pack_member(event_id: str, payload: str) -> bytes:
    """A ZSET member that sorts by event id among events of one millisecond."""
    return event_id.encode() + b"\0" + payload.encode()


def unpack_member(member: bytes) -> tuple[str, str]:
    """(event_id, payload) of a ZSET member."""
    event_id, _, payload = member.partition(b"\0")
    return event_id.decode(errors="replace"), payload.decode(errors="replace")
