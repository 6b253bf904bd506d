"""Odd records for every other topic of the line, each with the code that it must stand in the quarantine with."""

import math
from collections.abc import Iterator, Mapping

import msgspec
from msgspec import Struct, structs

from headrace.lang.executors.topic_contracts import sequence_contracts, tile_contracts
from headrace.lang.plan.clean_topic import contract
from headrace.lang.plan.plan import Group, Plan
from headrace.models.ranker.config import RankerConfig
from headrace.schemas.catalogue import ITEM
from headrace.schemas.control import Control
from headrace.schemas.exposures import EXPOSURE
from headrace.schemas.samples import SAMPLE
from headrace.schemas.versions.delta import Manifest, seal
from headrace.schemas.versions.heartbeat import key_of
from headrace.simulator.sample_stream import sample
from tests.support.slates import exposures, headers_of

_MINUTE_MS = 60_000
_YEAR_2090_MS = 3_800_000_000_000
_NOISE = b"\x02\xfe\xff\x00 no Avro"


class Letter(Struct, frozen=True, kw_only=True):
    """One record of a topic. `code` is empty where it is passed over, or counted elsewhere; `kind` names it."""

    topic: str
    kind: str
    value: bytes | None
    code: str
    key: str = "odd"
    headers: Mapping[str, bytes] = {}


def odd_items(now: int) -> Iterator[Letter]:
    """Topic `items`."""
    good = {
        "item_id": f"odd-{now}", "category": "c", "title": None, "price": 1.0, "seller": None, "tags": [],
        "stock": None, "born_at": now - 1_000, "received_at": now, "takedown": False,
    }  # fmt: skip
    kinds: dict[str, tuple[dict[str, object], str]] = {
        "no id": ({"item_id": ""}, "missing"),
        "price NaN": ({"price": math.nan}, "range"),
        "price infinite": ({"price": math.inf}, "range"),
        "born in microseconds": ({"born_at": now * 1_000}, "time"),
        "born before 1970": ({"born_at": -now}, "time"),
        "1,001 tags": ({"tags": ["t"] * 1_001}, "length"),
    }
    for name, payload in {"noise": _NOISE, "empty": b"", "JSON": b'{"item_id": "i1"}', "no value": None}.items():
        yield Letter(topic="items", kind=name, value=payload, code="unreadable")
    for name, (changes, code) in kinds.items():
        yield Letter(topic="items", kind=name, value=ITEM.encode(good | changes), code=code)
    yield Letter(topic="items", kind="cut", value=ITEM.encode(good)[:-4], code="unreadable")


def odd_exposures(now: int, tag: str) -> Iterator[Letter]:
    """Topic `exposures`."""
    (slate,) = exposures(1, tag=f"{tag}-x", at_ms=[now])
    slot = slate["slots"][0]
    kinds: dict[str, tuple[dict[str, object], str]] = {
        "position -1": ({"slots": [slot | {"position": -1}]}, "range"),
        "a position twice": ({"slots": [slot, slot]}, "range"),
        "dense NaN": ({"slots": [slot | {"dense": b"\0\0\xc0\x7f"}]}, "range"),
        "dense of 3 bytes": ({"slots": [slot | {"dense": b"\0\0\0"}]}, "range"),
        "1,001 slots": ({"slots": [slot | {"position": n} for n in range(1_001)]}, "length"),
        "vectors missing": ({"contents": [b""] * 7}, "length"),
        "microseconds": ({"received_at": now * 1_000}, "time"),
        "seconds": ({"received_at": now // 1_000}, "time"),
        "negative": ({"received_at": -now}, "time"),
        "of 2090": ({"received_at": _YEAR_2090_MS}, "headers"),
    }
    headers = headers_of(slate)
    for name, payload in {"noise": _NOISE, "empty": b"", "cut": EXPOSURE.encode(slate)[:-4]}.items():
        yield Letter(topic="exposures", kind=name, value=payload, code="unreadable", headers=headers)
    for name, (changes, code) in kinds.items():
        odd = slate | changes
        yield Letter(
            topic="exposures", kind=name, value=EXPOSURE.encode(odd), code=code, headers=headers | headers_of(odd)
        )
    wrong: dict[str, Mapping[str, bytes]] = {
        "no headers": {},
        "another user's header": headers | {"user_id": b"somebody"},
        "a header of noise": headers | {"user_id": b"\xff\xfe"},
        "a time in words": headers | {"received_at": b"soon"},
        "a time of 40 digits": headers | {"received_at": b"9" * 40},
    }
    for name, told in wrong.items():
        yield Letter(topic="exposures", kind=name, value=EXPOSURE.encode(slate), code="headers", headers=told)
    for name, at in {"a tick of 2090": str(_YEAR_2090_MS).encode(), "a tick of noise": b"\xff"}.items():
        yield Letter(topic="exposures", kind=name, value=None, code="", headers={"received_at": at})


def odd_samples(now: int, tag: str) -> Iterator[Letter]:
    """Topic `samples`."""
    for name, payload in {"noise": _NOISE, "empty": b"", "no value": None}.items():
        yield Letter(topic="samples", kind=name, value=payload, code="unreadable")
    for name, (changes, code) in _odd_sample_values(now).items():
        yield Letter(topic="samples", kind=name, value=_sample(now, tag, changes), code=code)
    yield Letter(topic="samples", kind="another set", value=_sample(now, tag, {"feature_set": "x"}), code="")
    yield Letter(topic="samples", kind="of 2090", value=_sample(now, tag, {"known_at": _YEAR_2090_MS}), code="time")


def odd_urgent(now: int, tag: str) -> Iterator[Letter]:
    """Topic `samples.urgent`: known after the learner's clock, so that the lane is asked for them."""
    for name, payload in {"noise": _NOISE, "empty": b"", "no value": None}.items():
        yield Letter(topic="samples.urgent", kind=name, value=payload, code="unreadable")
    for name, (changes, code) in _odd_sample_values(now).items():
        value = _sample(now, tag, {"known_at": now + 2 * _MINUTE_MS} | changes)
        yield Letter(topic="samples.urgent", kind=name, value=value, code=code)
    value = _sample(now, tag, {"known_at": _YEAR_2090_MS})
    yield Letter(topic="samples.urgent", kind="of 2090", value=value, code="time")


def _odd_sample_values(now: int) -> dict[str, tuple[dict[str, object], str]]:
    return {
        "microseconds": ({"served_at": now * 1_000, "known_at": now * 1_000}, "time"),
        "seconds": ({"served_at": now // 1_000, "known_at": now // 1_000}, "time"),
        "negative": ({"served_at": -now, "known_at": -now}, "time"),
        "known before it was served": ({"served_at": now + 20 * _MINUTE_MS}, "time"),
        "engagement 1e39": ({"engagement": 1e39}, "label"),
        "engagement 1e300": ({"engagement": 1e300}, "label"),
        "engagement NaN": ({"engagement": math.nan}, "label"),
        "engagement below 0": ({"engagement": -1.0}, "label"),
        "two clicks": ({"click": 2.0}, "label"),
        "no dense": ({"dense": b""}, "dense"),
        "dense 1e30": ({"dense": _dense(b"\xca\xf2\x49\x71")}, "dense"),
        "dense NaN": ({"dense": _dense(b"\0\0\xc0\x7f")}, "dense"),
        "weight infinite": ({"weight": math.inf}, "weight"),
        "weight below 0": ({"weight": -1.0}, "weight"),
        "a rate of 0": ({"negative_rate": 0.0}, "weight"),
        "undo NaN": ({"undo": math.nan}, "weight"),
        "a kind nobody knows": ({"kind": "third"}, "kind"),
    }


def _dense(first: bytes) -> bytes:
    return first + sample().dense[4:]


def _sample(now: int, tag: str, changes: Mapping[str, object]) -> bytes:
    fields = structs.asdict(sample(request_id=f"{tag}-odd", served_at=now - 20_000, known_at=now))
    return SAMPLE.encode(fields | changes)


def odd_deltas(now: int, *, signing: bytes, config: RankerConfig) -> Iterator[Letter]:
    """Topic `model.deltas`, under the model's key: `code` is the check that serving must count it by."""
    manifest = Manifest(
        model="ranker", epoch=1, seq=1_000_000, parent="", chunks=[], schema=config.schema(),
        settings=config.settings(), from_ms=now, to_ms=now, offsets={}, rows={}, gone={}, stats={},
    )  # fmt: skip

    def letter(kind: str, value: bytes | None, code: str) -> Letter:
        return Letter(topic="model.deltas", kind=kind, value=value, code=code, key="ranker")

    yield letter("noise", _NOISE, "format")
    yield letter("no value", None, "format")
    yield letter("an empty manifest", b"{}", "format")
    yield letter("a deep manifest", b'{"a":' * 5_000, "format")
    yield letter("a chunk of noise", b"\x28\xb5\x2f\xfd" + _NOISE, "")  # of no version
    yield letter("another key's", seal(manifest, key=b"another")[0], "signature")
    yield letter("unsigned", msgspec.json.encode(manifest), "signature")
    yield letter("another model's", seal(structs.replace(manifest, model="other"), key=signing)[0], "model")
    yield structs.replace(letter("noise of another", _NOISE, ""), key="other")
    yield structs.replace(letter("a heartbeat of noise", _NOISE, ""), key=key_of("ranker"))


def odd_decisions(now: int) -> Iterator[Letter]:
    """Topic `control`."""
    for name, payload in {"noise": _NOISE, "empty": b"", "JSON": b'{"name": "live"}'}.items():
        yield Letter(topic="control", kind=name, value=payload, code="unreadable")
    yield Letter(topic="control", kind="no value", value=None, code="")
    kinds: dict[str, tuple[str, str, dict[str, str], str]] = {
        "no plan": ("group/odd@1", "apply", {}, "decision"),
        "a plan of noise": ("group/odd@1", "apply", {"plan": "?", "job": "odd"}, "decision"),
        "a deep plan": ("group/odd@1", "apply", {"plan": "[" * 5_000, "job": "odd"}, "decision"),
        "no version to promote": ("live/user_recent", "promote", {}, "decision"),
        "a version in words": ("live/user_recent", "promote", {"version": "two"}, "decision"),
        "a version in words of a model": ("model/ranker", "rollback", {"version": "best", "epoch": "2"}, "decision"),
        "a pin of no version": ("alias/live", "pin", {}, "decision"),
        "a version that is not there": ("live/user_recent", "promote", {"version": "99"}, ""),
        "a thing nobody knows": ("weather", "rain", {}, ""),
    }
    for name, (thing, action, arguments, code) in kinds.items():
        decision = Control(name=thing, action=action, arguments=arguments, who="", at=now, why="odd")
        yield Letter(topic="control", kind=name, value=decision.payload(), code=code, key=thing)


def odd_tiles(group: Group, owner: str, now: int) -> Iterator[Letter]:
    """A group's topic of tiles; all speak of one owner, whose features must not change."""
    write, family = tile_contracts(group).value.encode, group.families[0]
    size = family.sizes_ms[0]
    start = now - now % size
    good: dict[str, object] = {partial.name: None for partial in group.partials}
    good |= dict.fromkeys(group.entity[1:], "c") | {group.entity[0]: owner}
    good |= {"size_ms": size, "start_ms": start, "n": 1_000_000, "as_of": now}
    double = next((each.name for each in family.partials if each.type == "DOUBLE"), "")
    kinds: dict[str, tuple[dict[str, object], str]] = {
        "microseconds": ({"start_ms": start * 1_000}, "time"),
        "of 2090": ({"start_ms": _YEAR_2090_MS - _YEAR_2090_MS % size}, "time"),
        "as of microseconds": ({"as_of": now * 1_000}, "time"),
        "another size": ({"size_ms": size - 1}, "size"),
        "no size": ({"size_ms": 0}, "size"),
        "askew": ({"start_ms": start + 1}, "size"),
        "negative": ({"start_ms": -start}, "size"),
        "no events": ({"n": 0}, "range"),
    } | ({"NaN": ({double: math.nan}, "range"), "infinite": ({double: math.inf}, "range")} if double else {})
    yield from _of_features(group.tile_topic, write(good))
    for name, (changes, code) in kinds.items():
        yield Letter(topic=group.tile_topic, kind=name, value=write(good | changes), code=code, key=name)


def odd_rows(group: Group, owner: str, now: int) -> Iterator[Letter]:
    """A group's topic of sequence rows."""
    write = sequence_contracts(group).value.encode
    good: dict[str, object] = dict.fromkeys(group.entity[1:], "c") | {group.entity[0]: owner}
    good |= {"sequence": group.sequences[0].name, "occurred_at": now, "event_id": "odd", "as_of": now, "payload": "i"}
    kinds: dict[str, tuple[dict[str, object], str]] = {
        "microseconds": ({"occurred_at": now * 1_000}, "time"),
        "seconds": ({"occurred_at": now // 1_000}, "time"),
        "negative": ({"occurred_at": -now}, "time"),
        "of 2090": ({"occurred_at": _YEAR_2090_MS}, "time"),
        "as of nanoseconds": ({"as_of": now * 1_000_000}, "time"),
        "another sequence": ({"sequence": "none"}, "sequence"),
        "a NUL": ({"event_id": "a\0b"}, "text"),
    }
    yield from _of_features(group.sequence_topic, write(good))
    for name, (changes, code) in kinds.items():
        yield Letter(topic=group.sequence_topic, kind=name, value=write(good | changes), code=code, key=name)


def _of_features(topic: str, good: bytes) -> Iterator[Letter]:
    kinds: dict[str, tuple[bytes | None, str]] = {
        "noise": (_NOISE, "unreadable"),
        "empty": (b"", "unreadable"),
        "cut": (good[:-2], "unreadable"),
        "huge": (b"\0" * 990_000, "oversize"),
        "no value": (None, ""),
    }
    for name, (payload, code) in kinds.items():
        yield Letter(topic=topic, kind=name, value=payload, code=code, key=name)


def odd_clean(plan: Plan, tag: str, now: int) -> Iterator[Letter]:
    """Topic `events.clean`: what its contract can say and ingest would not have let through."""
    clean = contract(plan.source("clickstream"))
    good: dict[str, object] = {field["name"]: {} if "map" in str(field["type"]) else None for field in clean.fields}
    good |= {"event_id": f"{tag}-odd-clean", "user_id": f"{tag}-u1", "item_id": f"{tag}-i1", "event_type": "click"}
    good |= {"source_partition": 0, "source_offset": 0}
    for name, at in {"microseconds": now * 1_000, "of 2090": _YEAR_2090_MS, "seconds": now // 1_000}.items():
        value = clean.encode(good | {"occurred_at": at, "received_at": at})
        yield Letter(topic="events.clean", kind=name, value=value, code="time")
