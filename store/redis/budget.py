# pyright: reportUnknownMemberType=false
"""The memory that Redis has free; its own `maxmemory` is the only setting of the budget."""

from collections.abc import Mapping
from typing import cast

from redis.cluster import RedisCluster

from headrace.connections.redis_clients import Client


def free_bytes(client: Client) -> int | None:
    """Bytes free below `maxmemory`, on a cluster summed over all primaries; None if any server has no limit.

    Raises:
        StoreError: the store did not answer.
    """
    if isinstance(client, RedisCluster):
        info = client.info("memory", target_nodes=RedisCluster.PRIMARIES)
        servers = list(cast("Mapping[str, Mapping[str, int]]", info).values())
    else:
        servers = [cast("Mapping[str, int]", client.info("memory"))]
    if not all(server["maxmemory"] for server in servers):
        return None
    return sum(max(server["maxmemory"] - server["used_memory"], 0) for server in servers)
