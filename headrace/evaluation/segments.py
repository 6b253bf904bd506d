"""Segments of a log's rows: new and returning users, new and known items, frequent and rare items.

A row's segments depend on the rows with an earlier timestamp alone, as its prediction does.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import groupby

import numpy as np
from msgspec import Struct

from headrace.models.array_types import Flags, Indexes
from headrace.replay.recordings import Visit

KNOWN_AFTER = 5  # earlier rows after which a user or an item is no longer new
HEAD_SHARE = 0.1  # of the items so far, those with the most rows


class Segment(Struct, frozen=True):
    """Some rows of a log; the segments of one `split` have each row once.

    Attributes:
        rows: (N,) whether a row is in it.
    """

    split: str
    name: str
    rows: Flags


class _Earlier(Struct, frozen=True):
    """For each row, (N,): rows before it of its user and of its item, and whether its item is in the head."""

    of_user: Indexes
    of_item: Indexes
    in_head: Flags


def segments_of(visits: Sequence[Visit]) -> list[Segment]:
    """The segments of a log, in the order of time."""
    before = _earlier(visits)
    share = f"{HEAD_SHARE:.0%}".replace("%", " %")
    users, items = before.of_user < KNOWN_AFTER, before.of_item < KNOWN_AFTER
    unseen = before.of_item == 0
    return [
        Segment("users", f"new: fewer than {KNOWN_AFTER} earlier rows", users),
        Segment("users", f"returning: {KNOWN_AFTER} or more", ~users),
        Segment("items", "unseen: no earlier row", unseen),
        Segment("items", f"new: 1 to {KNOWN_AFTER - 1} earlier rows", items & ~unseen),
        Segment("items", f"known: {KNOWN_AFTER} or more", ~items),
        Segment("popularity", f"head: the {share} of items with the most earlier rows", before.in_head),
        Segment("popularity", "tail: all other items", ~before.in_head),
    ]


def _earlier(visits: Sequence[Visit]) -> _Earlier:
    users, items = Counter[str](), Counter[str]()
    at_least: defaultdict[int, int] = defaultdict(int)  # by n, the number of items with n rows or more
    rows = len(visits)
    found = _Earlier(np.zeros(rows, np.int64), np.zeros(rows, np.int64), np.zeros(rows, np.bool_))
    for _, group in groupby(range(rows), key=lambda row: visits[row].at_ms):
        together = list(group)
        for row in together:
            count = items[visits[row].item_id]
            found.of_user[row], found.of_item[row] = users[visits[row].user_id], count
            found.in_head[row] = count > 0 and at_least[count] <= HEAD_SHARE * at_least[1]
        for row in together:
            users[visits[row].user_id] += 1
            items[visits[row].item_id] += 1
            at_least[items[visits[row].item_id]] += 1
    return found
