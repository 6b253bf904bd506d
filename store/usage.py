# pyright: reportUnknownMemberType=false
"""What the store holds of one version: keys, entities and bytes, counted over its keys and measured on some of them."""

from collections import Counter, defaultdict
from statistics import fmean
from typing import cast

from msgspec import Struct

from lang.plan.plan import Group
from schemas.redis_keys import tiles_key
from store.connect import Client

_SAMPLE = 500  # keys of each kind that are looked into: a round trip each
_A_TRIP = 1_000


class Usage(Struct, frozen=True, kw_only=True):
    """What is there of a version; `entities` and `bytes` are estimates where there are more than 500 keys of a kind.

    With more key columns than one an entity is a field of its first column's HASH.
    """

    keys: int
    entities: int
    bytes: int


def measure_usage(client: Client, group: Group) -> Usage:
    """Count a version's keys, all of the keyspace walked through once.

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
    """How many keys there are of each kind, tiles or one of the sequences, and some of them."""
    counts: Counter[bytes] = Counter()
    samples: dict[bytes, list[bytes]] = defaultdict(list)
    kinds = {group.title.encode(), *(f"{group.title}:{each.name}".encode() for each in group.sequences)}
    pattern = tiles_key(group.name, group.version, "*").replace("f:", "[fs]:", 1)
    for key in cast("list[bytes]", client.scan_iter(match=f"{pattern}*", count=_A_TRIP)):
        kind = key[key.rindex(b"}:") + 2 :]
        if kind in kinds:  # the pattern fits version 10 too
            counts[kind] += 1
            if len(samples[kind]) < _SAMPLE:
                samples[kind].append(key)
    return counts, samples


def _bytes_of(client: Client, key: bytes) -> int:
    return cast("int | None", client.memory_usage(key)) or 0  # None: it has expired since


def _fields_of(client: Client, group: Group, key: bytes) -> int:
    return cast(int, client.hlen(key.decode())) if len(group.entity) > 1 else 1
