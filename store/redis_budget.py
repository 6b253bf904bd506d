# pyright: reportUnknownMemberType=false
"""What Redis may still take: its own `maxmemory` is the budget, and stands nowhere else."""

from collections.abc import Mapping
from typing import cast

from redis.cluster import RedisCluster

from store.connect import Client


def left_bytes(client: Client) -> int | None:
    """Bytes up to `maxmemory`, on a cluster those of all primaries; None where one of them has no limit.

    Raises:
        StoreError: the store did not answer.
    """
    if isinstance(client, RedisCluster):
        told = client.info("memory", target_nodes=RedisCluster.PRIMARIES)
        servers = list(cast("Mapping[str, Mapping[str, int]]", told).values())
    else:
        servers = [cast("Mapping[str, int]", client.info("memory"))]
    if not all(server["maxmemory"] for server in servers):
        return None
    return sum(max(server["maxmemory"] - server["used_memory"], 0) for server in servers)
