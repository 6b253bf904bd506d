"""Assigns keys to partitions by Kafka's default rule, so that every producer agrees with Flink."""

from functools import cache

PARTITIONER = "murmur2_random"  # librdkafka's name for the rule below; its own default is CRC32


def murmur2(key: bytes) -> int:
    """MurmurHash2, 32 bits, with Kafka's seed.

    Source: Austin Appleby's MurmurHash2, as used by Kafka's default partitioner (seed 0x9747b28c).
    """
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = 0x9747B28C ^ len(key)
    whole = len(key) & ~3
    for start in range(0, whole, 4):
        k = int.from_bytes(key[start : start + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    tail = key[whole:]
    if tail:
        h = (h ^ int.from_bytes(tail, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


def partition_of(key: str, partitions: int) -> int:
    """The partition that Kafka's default partitioner assigns to this key."""
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions


@cache
def tick_key(partition: int, partitions: int) -> str:
    """A key that lands in `partition`, so that a `_tick` written through ingest reaches the same partition after it.

    >>> [partition_of(tick_key(p, 4), 4) for p in range(4)]
    [0, 1, 2, 3]
    """
    attempt = 0
    while partition_of(f"_tick-{attempt}", partitions) != partition:
        attempt += 1
    return f"_tick-{attempt}"
