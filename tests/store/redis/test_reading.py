"""A reading gives the same values from a blocking and from an asynchronous client, and a late reply to nobody else."""

import asyncio
from collections.abc import Iterable

import pytest

from headrace.connections.redis_clients import Client, StoreError, connect_async
from headrace.schemas.redis_keys import sequence_key
from headrace.store.redis.reader import AsyncFeatureReader, FeatureReader, FeatureRequest
from headrace.store.redis.reading import Reading, read_async, read_now
from tests.support import serving_states as worlds
from tests.support.memory_stores import click
from tests.support.store_writes import Delivery, rows_of

GROUP = worlds.PLAN.group("user_recent")


def histories(*users: str) -> Reading[list[list[str]]]:
    """The recent items of each user, in one round trip per user."""
    found: list[list[str]] = []
    for user in users:
        (values,) = yield [FeatureRequest(GROUP, [user])]
        found += values.merged.lists["recent_items"]
    return found


def write(client: Client, users: Iterable[str]) -> None:
    events = [click(number, user_id=user, item_id=f"of-{user}") for number, user in enumerate(users)]
    Delivery(client, GROUP).write(rows_of(GROUP, events), clock=worlds.NOW)


def address(client: Client) -> str:
    return f"redis://127.0.0.1:{client.connection_pool.connection_kwargs['port']}"


def test_both_clients_read_the_same(client: Client) -> None:
    write(client, ("a", "b"))
    expected = [["of-a"], ["of-b"], []]
    assert read_now(histories("a", "b", "c"), FeatureReader(client), at_ms=worlds.NOW) == expected

    async def read() -> list[list[str]]:
        async with connect_async(address(client), timeout_s=5.0) as connected:
            return await read_async(histories("a", "b", "c"), AsyncFeatureReader(connected), at_ms=worlds.NOW)

    assert asyncio.run(read()) == expected


def test_a_reading_ends_with_the_error_of_the_store() -> None:
    async def read() -> None:
        async with connect_async("redis://127.0.0.1:1", timeout_s=0.1) as connected:
            await read_async(histories("a"), AsyncFeatureReader(connected), at_ms=worlds.NOW)

    with pytest.raises(StoreError):
        asyncio.run(read())


def test_the_reply_to_a_read_that_timed_out_reaches_no_other_read(client: Client) -> None:
    """The proxy holds back the reply to the first read until another user's read has been sent."""
    write(client, ("a", "b"))
    port = client.connection_pool.connection_kwargs["port"]

    async def read() -> list[list[str]]:
        second = asyncio.Event()
        connections = 0

        async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            first = connections == 1
            replies, commands = await asyncio.open_connection("127.0.0.1", port)
            while sent := await reader.read(65_536):
                commands.write(sent)
                replied = await replies.read(65_536)
                if first and b"of-a" in replied:
                    await second.wait()
                writer.write(replied)
            for stream in (commands, writer):
                stream.close()
                await stream.wait_closed()

        proxy = await asyncio.start_server(forward, "127.0.0.1", 0)
        listening = f"redis://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
        async with proxy, connect_async(listening, timeout_s=0.5) as connected:
            store = AsyncFeatureReader(connected)
            with pytest.raises(StoreError):
                await read_async(histories("a"), store, at_ms=worlds.NOW)
            second.set()
            return await read_async(histories("b"), store, at_ms=worlds.NOW)

    assert asyncio.run(read()) == [["of-b"]]


def test_an_error_of_one_command_fails_its_read_and_no_other(client: Client) -> None:
    write(client, ("a", "b"))
    client.set(sequence_key(GROUP.name, GROUP.version, "a", "recent_items"), "no sorted set")

    async def read() -> list[list[str]]:
        async with connect_async(address(client), timeout_s=5.0) as connected:
            store = AsyncFeatureReader(connected)
            with pytest.raises(StoreError, match="WRONGTYPE"):
                await read_async(histories("a"), store, at_ms=worlds.NOW)
            return await read_async(histories("b"), store, at_ms=worlds.NOW)

    assert asyncio.run(read()) == [["of-b"]]
