"""Types of identifiers and times, and the hash of a string id that models use."""

from hashlib import blake2b
from typing import NewType

UserId = NewType("UserId", str)
ItemId = NewType("ItemId", str)
RequestId = NewType("RequestId", str)
EpochMs = NewType("EpochMs", int)

_MASK_63 = (1 << 63) - 1


def hash64(text: str) -> int:
    """Hash a string id to 63 bits; never 0, which means "no id".

    63 bits fit Avro's long and torch's int64. Among 10 million ids, the probability that two share a hash is about
    5e-6.

    >>> hash64("i1") == hash64("i1"), hash64("i1") != hash64("i2")
    (True, True)
    """
    return (int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") & _MASK_63) or 1
