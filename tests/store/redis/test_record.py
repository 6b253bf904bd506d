"""A record's bytes do not change, and decode to the tiles they were made of."""

from math import nan

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.lang.plan.plan import Group
from headrace.store.redis.record import TILE_ID, RecordLayout
from tests.support.law_groups import PLAN

GROUP = PLAN.group("two_keys")
HOUR_MS, NOW_MS = 3_600_000, 1_770_000_000_000


def test_golden_bytes() -> None:
    layout = RecordLayout(GROUP)
    assert layout.sizes_ms == (60_000, 16 * HOUR_MS)
    row = layout.row(60_000, NOW_MS, n=3, as_of=NOW_MS + 5, partials=[3.0])
    assert row.bytes.hex() == "030000006022c2010005a4381c9c01000000000000000840"
    assert row.bytes[TILE_ID] == layout.row(60_000, NOW_MS, n=4, as_of=0, partials=[nan]).bytes[TILE_ID]
    assert layout.record([row])[:8].hex() == "0100000000000000"


def test_records_become_a_block() -> None:
    layout = RecordLayout(GROUP)
    minute_rows = [layout.row(60_000, NOW_MS - back, n=1 + back, as_of=NOW_MS, partials=[back]) for back in (0, 60_000)]
    epoch = layout.row(16 * HOUR_MS, 0, n=2**40, as_of=7, partials=[nan])
    block = layout.block([layout.record([minute_rows[0], epoch]), None, layout.record(minute_rows)])
    assert block.key.tolist() == [0, 0, 2, 2]
    assert block.size_ms.tolist() == [60_000, 16 * HOUR_MS, 60_000, 60_000]
    assert block.start_ms.tolist() == [NOW_MS, 0, NOW_MS, NOW_MS - 60_000]
    rows = [block.values[at : at + 3].tolist() for at in block.at]
    assert [rows[0], *rows[2:]] == [[1, NOW_MS, 0], [1, NOW_MS, 0], [60_001, NOW_MS, 60_000]]
    assert rows[1][:2] == [2**32 - 1, 7], "n is capped"


@pytest.mark.parametrize("group", PLAN.groups, ids=lambda group: group.name)
@given(cut=st.integers(1, 200), tail=st.binary(max_size=40), head=st.binary(max_size=40))
def test_what_is_no_record_hides_no_other(group: Group, cut: int, tail: bytes, head: bytes) -> None:
    layout = RecordLayout(group)
    rows = [
        layout.row(size, NOW_MS - NOW_MS % size, n=1, as_of=NOW_MS, partials=[1.0] * len(family.partials))
        for family in group.families
        for size in family.sizes_ms
    ]
    record = layout.record(rows)
    odd = [record[:-cut], head + record[len(head) :], record + tail if tail else b"", head, None]
    block = layout.block([each for foreign in odd for each in (record, foreign)])
    whole = [key for key in block.key.tolist() if not key % 2]
    assert whole == [key for key in range(0, 2 * len(odd), 2) for _ in rows]


def test_a_group_of_sequences_alone_has_no_tiles() -> None:
    sequences_alone = msgspec.structs.replace(PLAN.group("everything"), families=())
    assert not len(RecordLayout(sequences_alone).block([None, None]).key)
