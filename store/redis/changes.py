# pyright: reportUnknownMemberType=false
"""Which entities the loader has just changed, so that a reader need not look at all of them.

Redis delivers a message to those who listen at that moment, and closes the connection of one that falls behind. Each
time a listener subscribes, at first and again after a lost connection, it reports that everything may have changed.
"""

from collections.abc import Iterable
from typing import Any, cast

import msgspec

from headrace.connections.redis_clients import Client
from headrace.schemas.redis_keys import CHANNEL


def publish(client: Client, changed: dict[str, list[str]]) -> None:
    """Report the changed entities of groups, by `group@version`.

    Raises:
        StoreError: the store did not answer.
    """
    for title, owners in changed.items():
        client.publish(f"{CHANNEL}{title}", msgspec.msgpack.encode(owners))


class ChangeListener:
    """Listens to the changes of some groups."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._pubsub: Any = None  # redis-py does not type it

    def listen(self, titles: Iterable[str]) -> None:
        """Listen to these `group@version` from now on, and no others.

        Raises:
            StoreError: the store did not answer.
        """
        self.close()
        channels = [f"{CHANNEL}{title}" for title in titles]
        if channels:
            self._pubsub = self._client.pubsub()
            self._pubsub.subscribe(*channels)

    def poll(self, timeout_s: float) -> dict[str, set[str] | None]:
        """The entities changed since the last call, by `group@version`; None where any of them may have.

        Raises:
            StoreError: the store did not answer. The next call connects again, and reports everything as changed.
        """
        found: dict[str, set[str] | None] = {}
        while self._pubsub is not None:
            message = self._pubsub.get_message(timeout=timeout_s)
            if message is None:
                break
            timeout_s = 0.0
            title = cast(bytes, message["channel"]).decode().removeprefix(CHANNEL)
            if message["type"] == "subscribe":
                found[title] = None
            elif message["type"] == "message" and (known := found.setdefault(title, set())) is not None:
                known.update(msgspec.msgpack.decode(message["data"], type=list[str]))
        return found

    def close(self) -> None:
        """Stop listening."""
        if self._pubsub is not None:
            self._pubsub.close()
            self._pubsub = None
