"""Ports: the usual ones where they are free, others where they are taken."""

import secrets
import socket
from collections.abc import Iterable

from headrace.layout import Endpoints, Pace

USUAL = {
    "kafka": 9092,
    "kafka_controller": 9093,
    "redis": 6379,
    "flink_rest": 8081,
    "flink_rpc": 6123,
    "api": 8080,
}


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(taken: Iterable[int]) -> int:
    """A free port that is none of `taken`."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port not in set(taken):
            return port


def choose_endpoints(pace: Pace, *, usual: bool = True) -> tuple[Endpoints, dict[str, int]]:
    """Endpoints for a new stack, and the usual ports that had to be replaced (name to usual port).

    Args:
        pace: kept with the addresses, for the jobs that are submitted later.
        usual: try the well-known ports first; False takes free ones for all, as a test stack does.
    """
    chosen: dict[str, int] = {}
    replaced: dict[str, int] = {}
    for name, port in USUAL.items():
        if usual and is_free(port):
            chosen[name] = port
            continue
        chosen[name] = free_port(chosen.values())
        if usual:
            replaced[name] = port
    token = f"dev-{secrets.token_urlsafe(18)}"
    return Endpoints(
        **chosen, token=token, model_key=secrets.token_hex(32), mask_key=secrets.token_hex(32), pace=pace
    ), replaced
