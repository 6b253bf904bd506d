"""A record's bytes do not change, and decode to the tiles they were made of."""

from math import nan

import msgspec

from store.record import TILE_ID, RecordLayout
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


def test_records_become_blocks() -> None:
    layout = RecordLayout(GROUP)
    minute_rows = [layout.row(60_000, NOW_MS - back, n=1 + back, as_of=NOW_MS, partials=[back]) for back in (0, 60_000)]
    epoch = layout.row(16 * HOUR_MS, 0, n=2**40, as_of=7, partials=[nan])
    minutes, epochs = layout.blocks([layout.record([minute_rows[0], epoch]), None, layout.record(minute_rows)])
    assert minutes.key.tolist() == [0, 2, 2]
    assert minutes.start_ms.tolist() == [NOW_MS, NOW_MS, NOW_MS - 60_000]
    assert minutes.values.tolist() == [[1, NOW_MS, 0], [1, NOW_MS, 0], [60_001, NOW_MS, 60_000]]
    assert (epochs.size_ms.tolist(), epochs.start_ms.tolist()) == ([16 * HOUR_MS], [0])
    assert epochs.values[0, :2].tolist() == [2**32 - 1, 7], "n is capped"


def test_a_group_of_sequences_alone_has_no_blocks() -> None:
    sequences_alone = msgspec.structs.replace(PLAN.group("everything"), families=())
    assert RecordLayout(sequences_alone).blocks([None, None]) == []
