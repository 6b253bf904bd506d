"""`headrace features skew`: the inputs that exposures were scored with, held against the log.

A served value is a little behind: features reach the store within about a second, serving sweeps items every two
seconds and keeps what follows an item for five. So the log is folded to many points of the ten seconds before an
exposure, and a served value must lie within what it gives there; SMAPE is against the last of them. Ranks among the
candidates are not judged, for the candidates are not on the log.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from heapq import nlargest
from typing import Any, cast

import msgspec
import numpy as np
from msgspec import Struct
from rich.table import Table

from headrace.console import progress, screen
from headrace.layout import Layout
from headrace.log.feature_versions import Registry
from lang.events.gate import int_value, is_tick
from lang.expressions.per_event import Event
from lang.plan.clean_topic import RECEIVED_AT, clean_topic, contract
from lang.plan.plan import Plan
from models.array_types import Doubles
from models.inputs import DENSE, FEATURE_SET
from schemas.avro import Unreadable
from schemas.catalogue import ITEM, Item
from schemas.exposures import EXPOSURE, Exposure
from schemas.topics import EXPOSURES, ITEMS
from serving.offline.features import CLICKSTREAM, OfflineFeatures
from serving.state.experiment import Arm
from serving.state.query import Query
from store.log import read_values

LAG_MS = 10_000
_NEAR = 0.01  # of inputs that lie in [-3, 3]: they were float32 on the way
_POINTS = 21
_SHOWN = 15
_ARM = Arm(name="skew", share=1.0, policy="popular")
_JUDGED = np.array([not name.endswith(".rank") for name in DENSE])


class Skew(Struct, kw_only=True):
    """What was compared, by input [F].

    Attributes:
        slots: slates' positions compared.
        mismatched: served values beyond what the log gives, of which `missing` were 0 where the log gives something
            and `extra` something where the log gives 0.
        error: sum of 2 |served - log| / (|served| + |log|), for SMAPE.
    """

    slots: int = 0
    mismatched: np.ndarray = msgspec.field(default_factory=lambda: np.zeros(len(DENSE), np.int64))
    missing: int = 0
    extra: int = 0
    error: Doubles = msgspec.field(default_factory=lambda: np.zeros(len(DENSE)))

    def hold(self, served: Doubles, seen: "Seen") -> None:
        """Compare the inputs of a slate's slots [S, F] with what the log gives."""
        wrong = _JUDGED & ((served < seen.low - _NEAR) | (served > seen.high + _NEAR))
        nothing = (np.abs(seen.low) <= _NEAR) & (np.abs(seen.high) <= _NEAR)
        self.slots += len(served)
        self.mismatched += wrong.sum(axis=0)
        self.missing += int((wrong & (served == 0)).sum())
        self.extra += int((wrong & nothing).sum())
        size = np.abs(served) + np.abs(seen.last)
        error = np.divide(2 * np.abs(served - seen.last), size, out=np.zeros_like(size), where=size > 0)
        self.error += (error * _JUDGED).sum(axis=0)

    @property
    def smape(self) -> Doubles:
        """By input, in [0, 2]."""
        return self.error / max(self.slots, 1)


class Seen(Struct, kw_only=True):
    """What the log gave for one exposure's slots [S, F] at the points looked at: the least, the most, the last."""

    low: Doubles
    high: Doubles
    last: Doubles


def compare(plan: Plan, items: Sequence[Item], events: Iterable[Event], exposures: Sequence[Exposure]) -> Skew:
    """Hold exposures against the events, in order of `received_at`."""
    found, recomputed, left = Skew(), OfflineFeatures(plan, items), iter(events)
    seen: dict[int, Seen] = {}
    following = next(left, None)
    for at_ms, number in sorted((at, number) for number, each in enumerate(exposures) for at in _points(each)):
        while following is not None and int_value(following, RECEIVED_AT) <= at_ms:
            recomputed.fold(following)
            following = next(left, None)
        exposure = exposures[number]
        values = _inputs(recomputed, exposure)
        before = seen.get(number)
        low, high = (before.low, before.high) if before else (values, values)
        seen[number] = Seen(low=np.minimum(low, values), high=np.maximum(high, values), last=values)
        if at_ms == exposure.received_at:
            served = [np.frombuffer(slot.dense, "<f4").astype(np.float64) for slot in exposure.slots]
            found.hold(np.array(served), seen.pop(number))
    return found


def _points(exposure: Exposure) -> list[int]:
    """Times to fold the log to."""
    return np.linspace(exposure.received_at - LAG_MS, exposure.received_at, _POINTS).astype(int).tolist()


def _inputs(recomputed: OfflineFeatures, exposure: Exposure) -> Doubles:
    """Inputs of an exposure's slots [S, F] at its time, by the events folded so far."""
    query = Query(
        request_id=exposure.request_id,
        user_id=exposure.user_id,
        session_id=exposure.session_id,
        surface=exposure.surface,
        count=1,
        at_ms=exposure.received_at,
        seed=0,
        arm=_ARM,
        context=exposure.context,
    )
    recomputed.clear_cache()
    query = recomputed.hydrate(query)
    return recomputed.dense(query, [slot.item_id for slot in exposure.slots]).astype(np.float64)


def skew(*, sample: int = 100) -> int:
    """Compare the inputs of the newest exposures with the log; 1 where any lies beyond what it gives.

    Args:
        sample: how many exposures, the newest that were served in full.
    """
    endpoints = Layout.here().endpoints()
    versions = Registry(endpoints, who="operator").versions()
    plan = Plan(tuple(versions.sources().values()), versions.live_groups()).for_source(CLICKSTREAM)
    source = plan.source(CLICKSTREAM)
    decode = contract(source).decode
    items = list({item.item_id: item for item in _items(endpoints.bootstrap)}.values())
    exposures = (
        msgspec.convert(each, Exposure) for each in _decoded(EXPOSURE.decode, endpoints.bootstrap, EXPOSURES.name)
    )
    known = {item.item_id for item in items}
    whole_ones = (each for each in exposures if _is_whole(each) and known.issuperset(s.item_id for s in each.slots))
    newest = nlargest(sample, whole_ones, key=lambda exposure: exposure.received_at)
    events = [cast(Event, each) for each in _decoded(decode, endpoints.bootstrap, clean_topic(source))]
    events = sorted((each for each in events if not is_tick(each)), key=lambda event: int_value(event, RECEIVED_AT))
    with progress() as bar:
        found = compare(plan, items, bar.track(events, description="events"), newest)
    _show(found, len(newest), len(events))
    return 1 if found.mismatched.any() else 0


def _items(bootstrap: str) -> Iterator[Item]:
    for item in _decoded(ITEM.decode, bootstrap, ITEMS.name):
        yield Item(**item)


def _decoded(decode: Callable[[bytes], dict[str, Any]], bootstrap: str, name: str) -> Iterator[dict[str, Any]]:
    """What a topic holds, without records that cannot be decoded."""
    for value in read_values(bootstrap, name):
        with suppress(Unreadable):
            yield decode(value)


def _is_whole(exposure: Exposure) -> bool:
    return exposure.level == 0 and exposure.feature_set == FEATURE_SET


def _show(found: Skew, exposures: int, events: int) -> None:
    judged = found.slots * int(_JUDGED.sum())
    table = Table("input", "mismatched", "SMAPE", box=None, pad_edge=False)
    order = np.lexsort((-found.smape, -found.mismatched))[:_SHOWN]
    for place in order.tolist():
        table.add_row(DENSE[place], str(found.mismatched[place]), f"{found.smape[place]:.5f}")
    screen().print(table)
    counts = f"{found.mismatched.sum()} mismatches, {found.missing} of them missing, {found.extra} extra"
    sys.stdout.write(f"{exposures} exposures, {found.slots} slots, {judged} values, {events} events: {counts}\n")
