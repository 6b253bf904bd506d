"""Records of topic `items` as a consumer gets them."""

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message

from headrace.schemas.catalogue import Item
from headrace.schemas.topics import ITEMS
from tests.support import serving_states as worlds


def item_message(item_id: str, *, takedown: bool = False) -> Message:
    item = Item(item_id=item_id, category="c", takedown=takedown, born_at=worlds.NOW - 1000)
    at = (TIMESTAMP_LOG_APPEND_TIME, worlds.NOW)
    return Message(topic=ITEMS.name, partition=0, offset=0, key=item_id.encode(), value=item.payload(), timestamp=at)
