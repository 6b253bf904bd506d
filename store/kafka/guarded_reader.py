"""Readers behind a circuit breaker: a store that does not answer is not asked."""

from collections.abc import Sequence

import redis

from headrace.connections.redis_clients import StoreError
from headrace.store.circuit_breaker import CircuitBreaker
from headrace.store.loop_timeout import loop_timeout
from headrace.store.redis.reader import AsyncFeatureStore, FeatureRequest, FeatureStore, FeatureValues


class StoreUnavailable(redis.RedisError):
    """The store did not answer in time, or was not asked because of that. It is one of `StoreError`."""


class GuardedReader:
    """A reader that asks the breaker first."""

    def __init__(self, reader: FeatureStore, breaker: CircuitBreaker) -> None:
        self._reader = reader
        self._breaker = breaker

    def read(self, requests: Sequence[FeatureRequest], *, at_ms: int) -> list[FeatureValues]:
        """Read from the wrapped reader.

        Raises:
            StoreError: the store did not answer, or was not asked.
        """
        _check(self._breaker)
        try:
            found = self._reader.read(requests, at_ms=at_ms)
        except StoreError:
            self._breaker.record(succeeded=False)
            raise
        self._breaker.record(succeeded=True)
        return found


class AsyncGuardedReader:
    """The same, on an event loop, with a time limit as in `store.loop_timeout`.

    A read that is cancelled counts neither as failed nor as successful.
    """

    def __init__(self, reader: AsyncFeatureStore, breaker: CircuitBreaker, *, within_s: float) -> None:
        self._reader = reader
        self._breaker = breaker
        self._within_s = within_s

    async def read(self, requests: Sequence[FeatureRequest], *, at_ms: int) -> list[FeatureValues]:
        """Read from the wrapped reader.

        Raises:
            StoreError: the store did not answer, or was not asked.
        """
        _check(self._breaker)
        try:
            async with loop_timeout(self._within_s):
                found = await self._reader.read(requests, at_ms=at_ms)
        except StoreError:
            self._breaker.record(succeeded=False)
            raise
        except TimeoutError as error:
            self._breaker.record(succeeded=False)
            message = f"it did not answer within {self._within_s * 1000:.0f} ms"
            raise StoreUnavailable(message) from error
        self._breaker.record(succeeded=True)
        return found


def _check(breaker: CircuitBreaker) -> None:
    if not breaker.allows():
        message = "most of the last reads failed, so it is asked only now and then"
        raise StoreUnavailable(message)
