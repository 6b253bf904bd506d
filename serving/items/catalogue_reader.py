"""Background thread: topic `items` → the catalogue. A takedown takes effect about a second after its record.

A record that is not a valid item is set aside; the item stays as it was.
"""

import math
import threading
import time

from confluent_kafka import Message

from models.content import ContentLayout
from schemas.avro import Unreadable
from schemas.catalogue import ITEM, Item
from schemas.dead_letter import reason_of
from schemas.times import PLAUSIBLE_MS
from schemas.topics import ITEMS
from serving.state import catalogue
from serving.state.catalogue import Entry
from serving.state.state import Live
from store.log import LogReader
from store.quarantine import KafkaSend, Quarantine

_POLL_S = 0.1
_SWAP_EVERY_S = 1.0  # all arrays are rebuilt: about 20 ms for 5,000 items, 0.3 s for 50,000
_MOST_TAGS = 1_000


class Refused(ValueError):
    """The record is not a valid item; the text is `<code>: <the value, what was expected>`."""


class CatalogueReader:
    """Folds item records, and swaps the catalogue at most once a second."""

    def __init__(self, bootstrap: str, live: Live, layout: ContentLayout, quarantine: Quarantine | None = None) -> None:
        self._bootstrap = bootstrap
        self._live = live
        self._layout = layout
        self._items: dict[str, Entry] = {}
        self._quarantine = quarantine or Quarantine("serving's catalogue", KafkaSend(bootstrap))

    def run(self, stop: threading.Event) -> None:
        """Follow the topic until `stop` is set.

        Raises:
            BrokenProgram: most records are not valid items.
        """
        tail = LogReader(self._bootstrap, ITEMS.name)
        changed, swapped_at = False, 0.0
        try:
            while not stop.is_set():
                for message in tail.read(_POLL_S):
                    changed |= self.take(message)
                if changed and tail.at_end and time.monotonic() - swapped_at >= _SWAP_EVERY_S:
                    self._live.set_catalogue(catalogue.build(self._items.values(), self._layout))
                    changed, swapped_at = False, time.monotonic()
                if tail.at_end and not changed:
                    self._live.progress.catalogue_read = True
        finally:
            tail.close()

    def take(self, message: Message) -> bool:
        """Fold one record; False if it is not a valid item. A later record replaces an earlier one of the item."""
        try:
            entry = catalogue.entry_of(item_of(message.value() or b""), self._layout)
        except Refused as refused:
            self._quarantine.set_aside_message(message, str(refused))
            return False
        except Exception as error:
            self._quarantine.set_aside_message(message, reason_of(error))
            return False
        self._quarantine.count_handled()
        self._items[entry.item.item_id] = entry
        return True


def item_of(payload: bytes) -> Item:
    """The item of a record.

    Raises:
        Refused: the catalogue's arrays cannot hold it.
    """
    try:
        item = Item(**ITEM.decode(payload))
    except (Unreadable, TypeError) as error:
        message = f"unreadable: {error}; does another version write to this topic?"
        raise Refused(message) from error
    if not item.item_id:
        message = "missing: item_id is empty"
        raise Refused(message)
    if item.price is not None and not math.isfinite(item.price):
        message = f"range: price is {item.price}, a finite number is expected"
        raise Refused(message)
    if not 0 <= item.born_at < PLAUSIBLE_MS.stop:
        message = f"time: born_at is {item.born_at}, ms since 1970 up to the year 2100 are expected"
        raise Refused(message)
    if len(item.tags) > _MOST_TAGS:
        message = f"length: {len(item.tags)} tags, at most {_MOST_TAGS} are kept"
        raise Refused(message)
    return item
