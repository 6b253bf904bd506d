"""The file format of the spool: a magic, then records, each with its length and CRC32.

Whatever the bytes are, reading them raises nothing: it returns the records up to the first bad byte, and what is wrong.
"""

import struct
import zlib
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from headrace.schemas.topics import TOPICS
from headrace.serving.kafka.producer import Record

MAGIC = b"headrace spool 1\n"
MOST_BYTES = 4 * 1024 * 1024
"""Of a segment. A record must fit, and Kafka takes one of 1 MB."""
Fault: TypeAlias = Literal["", "torn", "damaged"]
_HEAD = struct.Struct("<II")  # length of the body, its CRC32
_TOPICS = {topic.name: topic for topic in TOPICS}


class _Body(Struct, frozen=True, array_like=True):
    topic: str
    key: str | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class Contents(Struct, frozen=True):
    """What a segment holds.

    Attributes:
        end: where the last whole record ends.
        fault: what follows it: nothing, a write that was cut short, or bytes that no writer wrote.
    """

    records: list[Record]
    end: int
    fault: Fault = ""


_decoder = msgspec.msgpack.Decoder(_Body)


def frame(record: Record) -> bytes:
    """A record as it is appended to a segment. Its partition must be chosen by its key."""
    body = msgspec.msgpack.encode(_Body(record.topic.name, record.key, record.value, list(record.headers)))
    return _HEAD.pack(len(body), zlib.crc32(body)) + body


def read(data: bytes) -> Contents:
    """The records of a segment, up to the first bad byte."""
    if data[: len(MAGIC)] != MAGIC:
        short = MAGIC.startswith(data) or not data.strip(b"\0")
        return Contents([], 0, "torn" if short else "damaged")
    records: list[Record] = []
    at = len(MAGIC)
    while at < len(data):
        found = _record(data, at)
        if not isinstance(found, tuple):
            return Contents(records, at, found)
        record, at = found
        records.append(record)
    return Contents(records, at)


def _record(data: bytes, at: int) -> tuple[Record, int] | Fault:
    """The record at this place and where it ends, or what is wrong."""
    if len(data) - at < _HEAD.size or not data[at:].strip(b"\0"):  # a file system may leave zeros where it lost power
        return "torn"
    length, checksum = _HEAD.unpack_from(data, at)
    begin, end = at + _HEAD.size, at + _HEAD.size + length
    if length > MOST_BYTES:
        return "damaged"
    if end > len(data):
        return "torn"
    body = data[begin:end]
    if zlib.crc32(body) != checksum:
        return "damaged"
    try:
        decoded = _decoder.decode(body)
        topic = _TOPICS[decoded.topic]
    except (msgspec.MsgspecError, KeyError):
        return "damaged"  # written by another version
    return Record(topic=topic, key=decoded.key, value=decoded.value, headers=tuple(decoded.headers)), end
