# pyright: reportUnknownMemberType=false
"""Commands to a Redis server and their replies, on an event loop, with little else.

redis-py's own pipeline starts a task to write and a timer for each reply, and polls a connection before it uses it:
0.10 ms of CPU for the six commands that read a user, of which this takes half (docs/adr/0031).
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol, cast

import hiredis
import redis
import redis.asyncio as asynchronous
from redis.asyncio.client import Pipeline

_packed = cast("Callable[[tuple[object, ...]], bytes]", hiredis.pack_command)


class _Connection(Protocol):
    """What is used of `redis.asyncio.Connection`, of whose stubs some are missing or wrong."""

    socket_timeout: float | None

    @property
    def is_connected(self) -> bool: ...
    async def connect(self) -> None: ...
    async def send_packed_command(self, command: bytes, check_health: bool) -> None: ...
    async def read_response(self, disable_decoding: bool) -> object: ...


class _Pool(Protocol):
    """Likewise, of `redis.asyncio.ConnectionPool`."""

    def get_available_connection(self) -> _Connection: ...
    async def release(self, connection: _Connection) -> None: ...


async def execute(client: asynchronous.Redis, pipeline: Pipeline) -> list[object]:
    """Send the commands that a pipeline of the client has queued; their replies, as the pipeline would return them.

    Whoever leaves before the last reply, by a failure or because it is cancelled, closes the connection: no reply is
    left in it for others.

    Raises:
        StoreError: the server did not answer in time, or answered a command with an error.
    """
    pool, commands = cast("_Pool", client.connection_pool), pipeline.command_stack
    packed = b"".join([_packed(arguments) for arguments, _ in commands])
    connection = pool.get_available_connection()
    try:
        was_idle = connection.is_connected
        try:
            replies = await _in_time(connection, packed, count=len(commands))
        except redis.ConnectionError:
            if not was_idle:
                raise
            replies = await _in_time(connection, packed, count=len(commands))  # the server had closed it meanwhile
    finally:
        await pool.release(connection)
    pairs = zip(replies, commands, strict=True)
    return [_as_returned(client, reply, str(arguments[0]), options) for reply, (arguments, options) in pairs]


def _as_returned(client: asynchronous.Redis, reply: object, command: str, options: Mapping[str, object]) -> object:
    """A reply as the client's methods return it."""
    if isinstance(reply, redis.ResponseError):
        raise reply
    callback = client.response_callbacks.get(command)
    if callback is None:
        return reply
    return callback(reply, **{name: value for name, value in options.items() if name != "keys"})  # as redis-py does


async def _in_time(connection: _Connection, packed: bytes, *, count: int) -> list[object]:
    """Exchange within the connection's time limit as a whole; its own is a timer for each read and write."""
    limit_s, connection.socket_timeout = connection.socket_timeout, None
    try:
        async with asyncio.timeout(limit_s):
            return await _exchange(connection, packed, count=count)
    except TimeoutError as error:
        message = f"the server did not answer within {limit_s} s"
        raise redis.TimeoutError(message) from error
    finally:
        connection.socket_timeout = limit_s


async def _exchange(connection: _Connection, packed: bytes, *, count: int) -> list[object]:
    await connection.connect()
    await connection.send_packed_command(packed, check_health=False)
    replies: list[object] = []
    for _ in range(count):
        try:
            replies.append(await connection.read_response(disable_decoding=True))
        except redis.ResponseError as error:
            replies.append(error)
    return replies
