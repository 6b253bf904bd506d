# pyright: reportUnknownMemberType=false
"""Measures what one version occupies in the store: keys are counted, entities and bytes sampled."""

from collections import Counter, defaultdict
from statistics import fmean
from typing import cast

from msgspec import Struct

from headrace.connections.redis_clients import Client
from headrace.lang.plan.plan import Group
from headrace.schemas.redis_keys import pattern_of

_SAMPLE = 500  # keys of each kind that are measured, one round trip each
_PER_SCAN = 1_000


class Usage(Struct, frozen=True, kw_only=True):
    """What a version occupies; `entities` and `bytes` are estimates if there are more than 500 keys of a kind.

    With several key columns, an entity is a field of its first column's HASH.
    """

    keys: int
    entities: int
    bytes: int


def measure_usage(client: Client, group: Group) -> Usage:
    """Measure a version by one scan of the whole keyspace.

    Raises:
        StoreError: the store did not answer.
    """
    counts, samples = _keys(client, group)
    sizes = {kind: fmean(_bytes_of(client, key) for key in keys) for kind, keys in samples.items()}
    fields = {kind: fmean(_fields_of(client, group, key) for key in keys) for kind, keys in samples.items()}
    return Usage(
        keys=counts.total(),
        entities=max((round(count * fields[kind]) for kind, count in counts.items()), default=0),
        bytes=round(sum(count * sizes[kind] for kind, count in counts.items())),
    )


def _keys(client: Client, group: Group) -> tuple[Counter[bytes], dict[bytes, list[bytes]]]:
    """Count and sample the keys of each kind: tiles, or one of the sequences."""
    counts: Counter[bytes] = Counter()
    samples: dict[bytes, list[bytes]] = defaultdict(list)
    kinds = {group.title.encode(), *(f"{group.title}:{each.name}".encode() for each in group.sequences)}
    pattern = pattern_of(group.name, group.version)
    for key in cast("list[bytes]", client.scan_iter(match=pattern, count=_PER_SCAN)):
        kind = key[key.rindex(b"}:") + 2 :]
        if kind in kinds:  # the pattern also matches version 10
            counts[kind] += 1
            if len(samples[kind]) < _SAMPLE:
                samples[kind].append(key)
    return counts, samples


def _bytes_of(client: Client, key: bytes) -> int:
    return cast("int | None", client.memory_usage(key)) or 0  # None: it has just expired


def _fields_of(client: Client, group: Group, key: bytes) -> int:
    return cast(int, client.hlen(key.decode())) if len(group.entity) > 1 else 1
