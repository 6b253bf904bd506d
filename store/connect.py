# pyright: reportUnknownMemberType=false
"""The way to the store: a Redis server, or a Redis Cluster, as the address says."""

from typing import TypeAlias

import redis
from redis.client import Pipeline as ServerPipeline
from redis.cluster import ClusterPipeline, RedisCluster
from redis.exceptions import RedisClusterException

Client: TypeAlias = redis.Redis | RedisCluster
Pipeline: TypeAlias = ServerPipeline | ClusterPipeline
StoreError = (redis.RedisError, RedisClusterException)
"""What a client raises when the store does not answer."""

_CLUSTER = "redis+cluster://"
ADDRESS = f"redis://host:port, or {_CLUSTER}host:port of any node of a cluster"


def connect(url: str, *, timeout_s: float | None = None) -> Client:
    """A client of a server, which asks nothing yet, or of a cluster, which asks for its nodes (see `ADDRESS`).

    Raises:
        StoreError: no node of the cluster answers.
    """
    if url.startswith(_CLUSTER):
        server = url.replace(_CLUSTER, "redis://", 1)
        return RedisCluster.from_url(server, socket_timeout=timeout_s, socket_connect_timeout=timeout_s)
    return redis.Redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s)


def keys_per_command(client: Client, keys: list[str]) -> list[list[str]]:
    """The keys in parts that one command may name: on a cluster each alone, for they lie on many slots."""
    if isinstance(client, RedisCluster):
        return [[key] for key in keys]
    return [keys] if keys else []
