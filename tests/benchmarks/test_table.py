"""The table benchmark: all maps are correct, and limits bound the size of a table."""

import numpy as np
import pytest

from benchmarks import table
from headrace.models.tables.idmap import ABSENT


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "_BATCH", 500)
    monkeypatch.setattr(table, "_MOST", 2_000)


@pytest.mark.parametrize("name", table._MAPS)
def test_every_contender_is_a_map(name: str) -> None:
    mapping, ids = table._MAPS[name](), np.array([9, 3, 7], np.int64)
    mapping.put(ids[:2], np.array([0, 1]))
    mapping.put(ids[2:], np.array([2]))
    assert mapping.get(np.array([3, 4, 9, 7])).tolist() == [1, ABSENT, 0, 2]


def test_no_id_is_lost_and_tables_stop_growing() -> None:
    result = table.measure(ids=20_000, days=120, rounds=1)
    assert [(each.lost, each.mistaken) for each in result.maps.values()] == [(0, 0)] * 3
    assert [level.seen for level in result.by_day] == list(range(2_000, 20_001, 2_000))
    assert max(level.rows for level in result.by_day) <= 20_000 // 4 // 4 + 500
    assert 1_750 <= max(level.rows for level in result.at_once) <= 2_000
    assert max(level.waiting for level in result.at_once) <= 2_000
