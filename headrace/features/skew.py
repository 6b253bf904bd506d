"""`headrace features skew`: compare the inputs that exposures were scored with to those recomputed from the log.

Served values lag a little: features reach the store within about a second, serving replaces item features each second
or later, and caches the neighbours of an item for five. So the log is folded up to many points in the ten seconds
before an exposure, and a served value must lie within the range of the results; SMAPE compares it with the last of
them. Ranks among the candidates are not compared, because the candidates are not on the log.
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
from headrace.lang.events.gate import int_value
from headrace.lang.events.ticks import is_tick
from headrace.lang.expressions.per_event import Event
from headrace.lang.plan.clean_topic import RECEIVED_AT, clean_topic, contract
from headrace.lang.plan.plan import Plan
from headrace.layout import FEATURES, Layout
from headrace.log.feature_versions import Registry
from headrace.models.array_types import Doubles, Flags
from headrace.models.ranker.config import load_ranker_config
from headrace.schemas.avro import Unreadable
from headrace.schemas.catalogue import ITEM, Item
from headrace.schemas.exposures import EXPOSURE, Exposure
from headrace.schemas.model.ranker_inputs import SHIPPED, Inputs
from headrace.schemas.topics import EXPOSURES, ITEMS
from headrace.serving.offline.features import OfflineFeatures
from headrace.serving.state.experiment import Arm
from headrace.serving.state.query import Query
from headrace.store.kafka.log import read_values

LAG_MS = 10_000
_NEAR = 0.01  # tolerance for inputs in [-3, 3], which were float32 in transit
_POINTS = 21
_SHOWN = 15
_ARM = Arm(name="skew", share=1.0, policy="popular")


class Skew(Struct, kw_only=True):
    """Result of the comparison, by input [F].

    Attributes:
        names: the inputs. What depends on more than the log is not compared: ranks, on candidates that were not
            logged, and `request.count`, as a slate may have fewer items than were asked for.
        slots: number of slots compared.
        mismatched: served values outside the log's range.
        missing: mismatches where 0 was served and the log gives another value.
        extra: mismatches where another value was served and the log gives 0.
        error: sum of 2 |served - log| / (|served| + |log|), from which SMAPE is computed.
    """

    names: tuple[str, ...]
    mismatched: np.ndarray
    error: Doubles
    slots: int = 0
    missing: int = 0
    extra: int = 0

    @classmethod
    def of(cls, inputs: Inputs) -> "Skew":
        """Before anything was compared."""
        names = inputs.dense
        return cls(names=names, mismatched=np.zeros(len(names), np.int64), error=np.zeros(len(names)))

    @property
    def compared(self) -> Flags:
        """Which inputs are compared [F]."""
        return np.array([not name.endswith(".rank") and name != "request.count" for name in self.names])

    def add(self, served: Doubles, log: "LogRange") -> None:
        """Compare the inputs of a slate's slots [S, F] with the log."""
        wrong = self.compared & ((served < log.low - _NEAR) | (served > log.high + _NEAR))
        nothing = (np.abs(log.low) <= _NEAR) & (np.abs(log.high) <= _NEAR)
        self.slots += len(served)
        self.mismatched += wrong.sum(axis=0)
        self.missing += int((wrong & (served == 0)).sum())
        self.extra += int((wrong & nothing).sum())
        size = np.abs(served) + np.abs(log.last)
        error = np.divide(2 * np.abs(served - log.last), size, out=np.zeros_like(size), where=size > 0)
        self.error += (error * self.compared).sum(axis=0)

    @property
    def smape(self) -> Doubles:
        """Symmetric mean absolute percentage error by input, in [0, 2]."""
        return self.error / max(self.slots, 1)


class LogRange(Struct, kw_only=True):
    """Inputs of one exposure's slots [S, F] recomputed from the log: minimum, maximum and last of several points."""

    low: Doubles
    high: Doubles
    last: Doubles


def compare(
    plan: Plan,
    items: Sequence[Item],
    events: Iterable[Event],
    exposures: Sequence[Exposure],
    inputs: Inputs = SHIPPED,
) -> Skew:
    """Compare exposures with events, which are in order of `received_at`."""
    result, recomputed, remaining = Skew.of(inputs), OfflineFeatures(plan, items, inputs), iter(events)
    ranges: dict[int, LogRange] = {}
    following = next(remaining, None)
    for at_ms, number in sorted((at, number) for number, each in enumerate(exposures) for at in _points(each)):
        while following is not None and int_value(following, RECEIVED_AT) <= at_ms:
            recomputed.fold(following)
            following = next(remaining, None)
        exposure = exposures[number]
        values = _inputs(recomputed, exposure)
        before = ranges.get(number)
        low, high = (before.low, before.high) if before else (values, values)
        ranges[number] = LogRange(low=np.minimum(low, values), high=np.maximum(high, values), last=values)
        if at_ms == exposure.received_at:
            served = [np.frombuffer(slot.dense, "<f4").astype(np.float64) for slot in exposure.slots]
            result.add(np.array(served), ranges.pop(number))
    return result


def _points(exposure: Exposure) -> list[int]:
    """Times up to which the log is folded."""
    return np.linspace(exposure.received_at - LAG_MS, exposure.received_at, _POINTS).astype(int).tolist()


def _inputs(recomputed: OfflineFeatures, exposure: Exposure) -> Doubles:
    """Inputs of an exposure's slots [S, F] at its time, from the events folded so far."""
    query = Query(
        request_id=exposure.request_id,
        user_id=exposure.user_id,
        session_id=exposure.session_id,
        surface=exposure.surface,
        count=len(exposure.slots),
        at_ms=exposure.received_at,
        seed=0,
        arm=_ARM,
        context=exposure.context,
    )
    recomputed.clear_cache()
    query = recomputed.hydrate(query)
    return recomputed.dense(query, [slot.item_id for slot in exposure.slots]).astype(np.float64)


def skew(*, sample: int = 100) -> int:
    """Compare the inputs of the newest exposures with those recomputed from the log; exit 1 if any mismatches.

    Args:
        sample: number of exposures: the newest that were served in full.
    """
    endpoints, inputs = Layout.here().endpoints(), load_ranker_config(None, FEATURES).inputs
    versions = Registry(endpoints, who="operator").versions()
    plan = Plan(tuple(versions.sources().values()), versions.live_groups()).for_events()
    source = plan.event_source
    decode = contract(source).decode
    items = list({item.item_id: item for item in _items(endpoints.bootstrap)}.values())
    exposures = (
        msgspec.convert(each, Exposure) for each in _records(EXPOSURE.decode, endpoints.bootstrap, EXPOSURES.name)
    )
    known, feature_set = {item.item_id for item in items}, inputs.feature_set
    complete = (
        each
        for each in exposures
        if _is_complete(each, feature_set) and known.issuperset(slot.item_id for slot in each.slots)
    )
    newest = nlargest(sample, complete, key=lambda exposure: exposure.received_at)
    events = [cast(Event, each) for each in _records(decode, endpoints.bootstrap, clean_topic(source))]
    events = [each for each in events if not is_tick(each, source)]
    events.sort(key=lambda event: int_value(event, RECEIVED_AT))
    with progress() as bar:
        result = compare(plan, items, bar.track(events, description="events"), newest, inputs)
    _show(result, len(newest), len(events))
    return 1 if result.mismatched.any() else 0


def _items(bootstrap: str) -> Iterator[Item]:
    for item in _records(ITEM.decode, bootstrap, ITEMS.name):
        yield Item(**item)


def _records(decode: Callable[[bytes], dict[str, Any]], bootstrap: str, name: str) -> Iterator[dict[str, Any]]:
    """Decoded records of a topic; those that cannot be decoded are left out."""
    for value in read_values(bootstrap, name):
        with suppress(Unreadable):
            yield decode(value)


def _is_complete(exposure: Exposure, feature_set: str) -> bool:
    return exposure.level == 0 and exposure.feature_set == feature_set


def _show(result: Skew, exposures: int, events: int) -> None:
    compared = result.slots * int(result.compared.sum())
    table = Table("input", "mismatched", "SMAPE", box=None, pad_edge=False)
    order = np.lexsort((-result.smape, -result.mismatched))[:_SHOWN]
    for index in order.tolist():
        table.add_row(result.names[index], str(result.mismatched[index]), f"{result.smape[index]:.5f}")
    screen().print(table)
    counts = f"{result.mismatched.sum()} mismatches, {result.missing} of them missing, {result.extra} extra"
    sys.stdout.write(f"{exposures} exposures, {result.slots} slots, {compared} values, {events} events: {counts}\n")
