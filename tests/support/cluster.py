"""A Redis Cluster of three servers, no replicas, each with a third of the slots."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import redis

from headrace.stack import redis_server
from headrace.stack.ports import free_port, is_free
from headrace.wait import wait_until

NODES, SLOTS, _BUS = 3, 16_384, 10_000


@contextlib.contextmanager
def running(folder: Path) -> Iterator[list[redis.Redis]]:
    """A client of each node."""
    with contextlib.ExitStack() as stack:
        nodes: list[redis.Redis] = []
        for number in range(NODES):
            home = folder / str(number)
            home.mkdir()
            settings = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
            nodes.append(redis.Redis(port=stack.enter_context(redis_server.running(home, *settings, port=_port()))))
            stack.callback(nodes[-1].close)
        for number, node in enumerate(nodes):
            node.execute_command("CLUSTER ADDSLOTS", *range(number * SLOTS // NODES, (number + 1) * SLOTS // NODES))
            node.execute_command("CLUSTER MEET", "127.0.0.1", port_of(nodes[0]))
        for node in nodes:
            wait_until(lambda node=node: _whole(node), what="the cluster", deadline_s=20, hint=f"Look into {folder}.")
        yield nodes


def port_of(node: redis.Redis) -> int:
    """The port a node listens on."""
    return node.connection_pool.connection_kwargs["port"]


def _whole(node: redis.Redis) -> bool:
    told = node.cluster("info")
    return told["cluster_state"] == "ok" and told["cluster_known_nodes"] == str(NODES)


def _port() -> int:
    """A free port whose bus port, 10,000 above, is free too."""
    while True:
        port = free_port(())
        if port + _BUS < 2**16 and is_free(port + _BUS):
            return port
