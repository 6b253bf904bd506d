"""Two background threads: topic `items` → the catalogue.

One reads records, and takedowns take effect as soon as they are read. The other builds the catalogue, which takes
seconds for a million items. A record that is not a valid item is set aside; the item stays as it was.
"""

import math
import threading
from collections.abc import Iterable

from confluent_kafka import Message

from headrace.models.content.vectors import ContentLayout
from headrace.schemas.avro import Unreadable
from headrace.schemas.catalogue import ITEM, Item
from headrace.schemas.dead_letter import reason_of
from headrace.schemas.times import PLAUSIBLE_MS
from headrace.schemas.topics import ITEMS
from headrace.serving.state import catalogue
from headrace.serving.state.catalogue import Entry
from headrace.serving.state.state import Live
from headrace.store.kafka.log import LogReader
from headrace.store.kafka.quarantine import KafkaSend, Quarantine

_POLL_S = 0.1
_SWAP_EVERY_S = 1.0  # all arrays are rebuilt: about 20 ms for 5,000 items, 0.3 s for 50,000
_MOST_TAGS = 1_000


class Refused(ValueError):
    """The record is not a valid item; the text is `<code>: <the value, what was expected>`."""


class CatalogueReader:
    """Folds item records; swaps the catalogue at most once a second, and what was taken down at once."""

    def __init__(self, bootstrap: str, live: Live, layout: ContentLayout, quarantine: Quarantine | None = None) -> None:
        self._bootstrap = bootstrap
        self._live = live
        self._layout = layout
        self._items: dict[str, Entry] = {}
        # Taken down since the items were last copied, and before that, as long as the catalogue of the copy is built.
        self._taken_down, self._left_out = set[int](), set[int]()
        self._writing = threading.Lock()
        self._changed, self._at_end = threading.Event(), threading.Event()
        self._quarantine = quarantine or Quarantine("serving's catalogue", KafkaSend(bootstrap))

    def run(self, stop: threading.Event) -> None:
        """Follow the topic until `stop` is set.

        Raises:
            BrokenProgram: most records are not valid items.
        """
        tail = LogReader(self._bootstrap, ITEMS.name)
        try:
            while not stop.is_set():
                self.take_all(tail.read(_POLL_S))
                if tail.at_end:
                    self._at_end.set()
        finally:
            tail.close()

    def build(self, stop: threading.Event) -> None:
        """Build the catalogue whenever items have changed, until `stop` is set; the first one of all items."""
        while not stop.is_set():
            if not self._at_end.wait(_POLL_S):
                continue
            if self._changed.wait(_POLL_S):
                self.swap()
            self._live.progress.catalogue_read = True
            stop.wait(_SWAP_EVERY_S)

    def swap(self) -> None:
        """Build the catalogue of the items read so far. Takedowns read meanwhile still hold after that."""
        with self._writing:
            self._changed.clear()
            entries, self._left_out = [*self._items.values()], self._taken_down
            self._taken_down = set()
        built = catalogue.build(entries, self._layout)
        with self._writing:
            self._left_out = set()
            self._live.set_catalogue(built, self._taken_down)

    def take_all(self, messages: Iterable[Message]) -> None:
        """Fold records. Takedowns among them, and their ends, take effect when this returns."""
        with self._writing:
            before = self._taken_down | self._left_out
            for message in messages:
                if self.take(message):
                    self._changed.set()
            after = self._taken_down | self._left_out
            if after != before:
                self._live.set_taken_down(after)

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
        if entry.item.takedown:
            self._taken_down.add(entry.id)
        else:
            self._taken_down.discard(entry.id)
            self._left_out.discard(entry.id)
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
