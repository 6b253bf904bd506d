"""Ways in which a log can reach a store: in order, shuffled, with restarts, twice. All must give the same store."""

import copy
import random
from collections.abc import Sequence

from headrace.lang.executors.fold import TileFold
from headrace.lang.executors.tile_store import TileStore
from headrace.lang.expressions.per_event import Event
from headrace.lang.plan.plan import Group


def fold_in_order(group: Group, events: Sequence[Event]) -> TileStore:
    """The store after the events in log order."""
    fold, store = TileFold(group), TileStore(group)
    for event in events:
        store.put(fold.add(event))
    return store


def fold_shuffled(group: Group, events: Sequence[Event]) -> TileStore:
    """The store after the events in a seeded random order."""
    order = list(events)
    random.Random(len(order)).shuffle(order)
    return fold_in_order(group, order)


def fold_restarting(group: Group, events: Sequence[Event]) -> TileStore:
    """The store if the job fails after every event and restarts from the checkpoint before it."""
    store, checkpoint = TileStore(group), TileFold(group)
    for event in events:
        store.put(copy.deepcopy(checkpoint).add(event))
        store.put(checkpoint.add(event))
    return store


def fold_twice(group: Group, events: Sequence[Event]) -> TileStore:
    """The store after a second job replayed the log into it from the start."""
    store = fold_in_order(group, events)
    fold = TileFold(group)
    for event in events:
        store.put(fold.add(event))
    return store
