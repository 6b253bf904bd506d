"""What is shown when there is no state at all: popular items, kept on disk from one start to the next."""

import contextlib
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from headrace.serving.state.state import ServingState
from headrace.store.files import write_durably

FILE = "fallback.json"
_MOST = 300


class ListedItem(Struct, frozen=True):
    """An item that may be shown without a catalogue."""

    id: str
    category: str = ""


class FallbackList(Struct, frozen=True, kw_only=True):
    """Items to show, best first; `written_at`: when they were popular, ms."""

    written_at: int
    items: list[ListedItem]


def of_state(state: ServingState, *, at_ms: int) -> FallbackList:
    """The most popular items of a state, then the newest."""
    catalogue = state.catalogue
    ids = dict.fromkeys([*state.features.hot.tolist(), *catalogue.newest(at_ms, _MOST).tolist()])
    found, shown = state.find(np.array([*ids], np.int64))
    indexes: list[int] = found[shown].tolist()
    items = [
        ListedItem(catalogue.names[index], catalogue.category(index))
        for index in indexes
        if catalogue.born_at[index] <= at_ms
    ]
    return FallbackList(written_at=at_ms, items=items[:_MOST])


def write(path: Path, listed: FallbackList) -> None:
    """Replace the list on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, msgspec.json.encode(listed))


def read(path: Path) -> FallbackList | None:
    """The list on disk; None if there is none that can be read."""
    with contextlib.suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode(path.read_bytes(), type=FallbackList)
    return None
