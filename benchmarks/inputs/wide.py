"""Items with fifty features and seven weeks of history, as tiles.

`busy` items have one or two clicks a second, so that every tile of every window exists: the worst case of a read.
`usual` items have a log-normal number of events per week: 60 at the median, and more than 400 for a tenth of them.
"""

import math
from pathlib import Path
from typing import Literal

import numpy as np
from msgspec import Struct

from headrace.lang.executors.fold import TileRow
from headrace.lang.plan.plan import Family, Group
from headrace.lang.planner.load import parse_plan
from headrace.layout import FEATURES
from headrace.store.redis.writer import retention_of

WEEK_MS = 7 * 86_400_000
_EVENTS_A_WEEK, _SPREAD, _BUSY_A_WEEK = 60, 1.5, 1_000_000
_FEW = 0.05  # share of tiles without the events that a column counts

FIFTY = 50
Crowd = Literal["usual", "busy"]


class Item(Struct, frozen=True):
    """One entity and its tiles."""

    name: str
    rows: list[TileRow]


def wide_group() -> Group:
    """The group that `wide.sql` writes."""
    return _planned(Path(__file__).with_suffix(".sql").read_text(), "item_wide")


def one_tile_group(name: str, measure: str) -> Group:
    """Fifty features with one cell in the same tile each: a measure over fifty types of events."""
    filters = [f"FILTER (WHERE event_type = 'kind{number}')" for number in range(FIFTY)]
    measures = [f"{measure.format(filter=each)} AS kind{number}" for number, each in enumerate(filters)]
    header = f"version 1, owner 'benchmarks', entity item_id, source clickstream, on_missing zero, description '{name}'"
    return _planned(
        f"FEATURE GROUP {name} ({header}); SELECT {', '.join(measures)} FROM clickstream GROUP BY item_id;", name
    )


def _planned(text: str, name: str) -> Group:
    sources = {path.name: path.read_text() for path in (FEATURES / "sources").glob("*.sql")}
    return parse_plan({**sources, f"{name}.sql": text}).group(name)


def make_crowd(group: Group, crowd: Crowd, count: int, *, at_ms: int, seed: int) -> list[Item]:
    """`count` items with the tiles that a store holds of them at `at_ms`."""
    rng = np.random.default_rng(seed)
    usual = np.exp(rng.normal(math.log(_EVENTS_A_WEEK), _SPREAD, count))
    weekly = usual if crowd == "usual" else np.full(count, _BUSY_A_WEEK)
    names = [f"{crowd}{number}" for number in range(count)]
    return [Item(name, _rows(group, name, rate, at_ms, rng)) for name, rate in zip(names, weekly.tolist(), strict=True)]


def _rows(group: Group, name: str, weekly: float, at_ms: int, rng: np.random.Generator) -> list[TileRow]:
    kept_ms = dict(retention_of(group).kept_ms)
    rows: list[TileRow] = []
    for family in group.families:
        for size in family.sizes_ms:
            starts = np.arange(at_ms - at_ms % size, at_ms - kept_ms[size], -size)[::-1]
            events = rng.poisson(weekly * size / WEEK_MS, len(starts))
            counts = zip(starts[events > 0].tolist(), events[events > 0].tolist(), strict=True)
            rows += [TileRow((name,), size, start, _cells(family, n, start + size, rng)) for start, n in counts]
    return rows


def _cells(family: Family, n: int, end_ms: int, rng: np.random.Generator) -> tuple[float, ...]:
    cells = [float(n), float(end_ms)]
    for partial in family.partials:
        count = float(rng.integers(0, n + 1))
        value = count if partial.op == "count" else round(float(rng.gamma(2.0, 15.0)), 3)
        cells.append(math.nan if partial.op != "count" and rng.random() < _FEW else value)
    return tuple(cells)
