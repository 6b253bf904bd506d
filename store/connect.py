# pyright: reportUnknownMemberType=false
"""Connects to the store: a Redis server or a Redis Cluster, depending on the address."""

from typing import TypeAlias

import redis
from redis.client import Pipeline as ServerPipeline
from redis.cluster import ClusterPipeline, RedisCluster
from redis.exceptions import RedisClusterException

Client: TypeAlias = redis.Redis | RedisCluster
Pipeline: TypeAlias = ServerPipeline | ClusterPipeline
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


def keys_per_command(client: Client, keys: list[str]) -> list[list[str]]:
    """Split keys into lists for one command each: single keys on a cluster, where they are on different slots."""
    if isinstance(client, RedisCluster):
        return [[key] for key in keys]
    return [keys] if keys else []
