"""Reads of the store written once, for a blocking and for an asynchronous client.

A reading is a generator: it yields lists of requests, is sent their values, and returns its result.
"""

from collections.abc import Generator
from typing import TypeAlias, TypeVar

from headrace.store.redis.reader import AsyncFeatureStore, FeatureRequest, FeatureStore, FeatureValues

T = TypeVar("T")
Reading: TypeAlias = Generator[list[FeatureRequest], list[FeatureValues], T]
"""A computation that reads features, in as many round trips as it yields lists."""


def read_now(reading: Reading[T], store: FeatureStore, *, at_ms: int) -> T:
    """The result of a reading, with values at `at_ms`.

    Raises:
        StoreError: the store did not answer.
    """
    try:
        requests = next(reading)
        while True:
            requests = reading.send(store.read(requests, at_ms=at_ms))
    except StopIteration as end:
        return end.value


async def read_async(reading: Reading[T], store: AsyncFeatureStore, *, at_ms: int) -> T:
    """The same, without blocking the event loop.

    Raises:
        StoreError: the store did not answer.
    """
    try:
        requests = next(reading)
        while True:
            requests = reading.send(await store.read(requests, at_ms=at_ms))
    except StopIteration as end:
        return end.value
