# pyright: reportUnknownMemberType=false
"""Connects to the store: a Redis server or a Redis Cluster, depending on the address."""

from typing import TypeAlias

import redis
import redis.asyncio as asynchronous
from redis.asyncio.client import Pipeline as AsyncServerPipeline
from redis.asyncio.cluster import ClusterPipeline as AsyncClusterPipeline
from redis.asyncio.cluster import RedisCluster as AsyncRedisCluster
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.client import Pipeline as ServerPipeline
from redis.cluster import ClusterPipeline, RedisCluster
from redis.exceptions import RedisClusterException

Client: TypeAlias = redis.Redis | RedisCluster
AsyncClient: TypeAlias = asynchronous.Redis | AsyncRedisCluster
Pipeline: TypeAlias = ServerPipeline | ClusterPipeline
AnyPipeline: TypeAlias = Pipeline | AsyncServerPipeline | AsyncClusterPipeline
StoreError = (redis.RedisError, RedisClusterException)
"""The exceptions that a client raises when the store does not answer."""

_CLUSTER = "redis+cluster://"
ADDRESS = f"redis://host:port, or {_CLUSTER}host:port of any node of a cluster"


def connect(url: str, *, timeout_s: float | None = None) -> Client:
    """A client for `url` (see `ADDRESS`). For a server nothing is sent yet; for a cluster its nodes are looked up.

    Raises:
        StoreError: no node of the cluster answers.
    """
    if url.startswith(_CLUSTER):
        server = url.replace(_CLUSTER, "redis://", 1)
        return RedisCluster.from_url(server, socket_timeout=timeout_s, socket_connect_timeout=timeout_s)
    return redis.Redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s)


def connect_async(url: str, *, timeout_s: float) -> AsyncClient:
    """A client for `url` (see `ADDRESS`) for use on an event loop. Nothing is sent yet.

    A read that times out fails at once and closes its connection: a late reply must not answer another request.
    """
    retry = AsyncRetry(NoBackoff(), 0)
    if url.startswith(_CLUSTER):
        server = url.replace(_CLUSTER, "redis://", 1)
        return AsyncRedisCluster.from_url(
            server, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=retry
        )
    return asynchronous.Redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=retry)


def is_cluster(client: Client | AsyncClient) -> bool:
    """Whether the store is a cluster."""
    return isinstance(client, RedisCluster | AsyncRedisCluster)


def keys_per_command(keys: list[str], *, on_cluster: bool) -> list[list[str]]:
    """Split keys into lists for one command each: single keys on a cluster, where they are on different slots."""
    if on_cluster:
        return [[key] for key in keys]
    return [keys] if keys else []
