"""A row set after updates equals a dict, whichever set was updated; no set ever changes."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.models.tables.rowset import RowSet
from headrace.schemas.versions.row_codec import TableUpdate

IDS = st.sets(st.integers(1, 30), max_size=12)


def update(ids: set[int], gone: set[int], mark: int) -> TableUpdate:
    rows = np.array([[number, mark] for number in sorted(ids)], np.float32).reshape(-1, 2)
    return TableUpdate(ids=np.array(sorted(ids), np.int64), rows=rows, gone=np.array(sorted(gone), np.int64))


def to_dict(rows: RowSet) -> dict[int, list[float]]:
    return dict(zip(rows.ids.tolist(), rows.values.tolist(), strict=True))


@given(st.lists(st.tuples(IDS, IDS, st.integers(0, 9)), max_size=12))
@settings(max_examples=200)
def test_updates_are_what_a_dict_would_do(steps: list[tuple[set[int], set[int], int]]) -> None:
    sets, dicts = [RowSet.empty(2)], [{0: [0.0, 0.0]}]
    for mark, (ids, gone, before) in enumerate(steps):
        origin = min(before, len(sets) - 1)
        sets.append(sets[origin].apply(update(ids, gone - ids, mark)))
        kept = {number: row for number, row in dicts[origin].items() if number not in gone - ids}
        dicts.append(kept | {number: [float(number), float(mark)] for number in ids})
    assert [to_dict(rows) for rows in sets] == dicts
    indexes = sets[-1].find(np.arange(40))
    found = [dicts[-1].get(number, dicts[-1][0]) for number in range(40)]
    assert sets[-1].rows(indexes).tolist() == found


def test_an_update_copies_no_row_but_its_own() -> None:
    first = RowSet.empty(2).apply(update({*range(1, 1001)}, set(), 1))
    second = first.apply(update({5, 7, 2000}, {9}, 2))
    assert second.pool is first.pool
    assert (len(first), len(second)) == (1001, 1001)
