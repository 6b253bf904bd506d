"""Choose a stack's ports, the usual ones where they are free, and load its secrets."""

import secrets
import socket
from collections.abc import Iterable

import msgspec
from msgspec import Struct

from headrace.layout import Endpoints, Layout, Pace


class Ports(Struct, frozen=True, kw_only=True):
    """The ports of a local stack, all on 127.0.0.1; the defaults are the usual ones."""

    kafka: int = 9092
    kafka_controller: int = 9093
    redis: int = 6379
    flink_rest: int = 8081
    flink_rpc: int = 6123
    api: int = 8080


USUAL: dict[str, int] = msgspec.to_builtins(Ports())


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
    """A free port other than those in `taken`."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port not in set(taken):
            return port


class Secrets(Struct, frozen=True):
    """Secrets of a stack; kept until it is wiped, so that signatures and masked values survive a restart."""

    token: str
    model_key: str
    mask_key: str


def load_secrets(layout: Layout) -> Secrets:
    """Load the stack's secrets; its first start creates them."""
    if layout.secrets_file.exists():
        return msgspec.json.decode(layout.secrets_file.read_bytes(), type=Secrets)
    created = Secrets(f"dev-{secrets.token_urlsafe(18)}", secrets.token_hex(32), secrets.token_hex(32))
    layout.secrets_file.touch(mode=0o600)
    layout.secrets_file.write_bytes(msgspec.json.encode(created))
    return created


def choose_ports(*, usual: bool = True) -> tuple[Ports, dict[str, int]]:
    """Choose ports for a new stack; returns them and the usual ports that were taken (name to usual port).

    Args:
        usual: try the well-known ports first; False takes any free ports, as a test stack does.
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
    return Ports(**chosen), replaced


def local_endpoints(ports: Ports, keys: Secrets, pace: Pace) -> Endpoints:
    """Where a stack on these ports of this machine is reached; the pace is for jobs that are submitted later."""
    return Endpoints(
        bootstrap=f"127.0.0.1:{ports.kafka}",
        redis_url=f"redis://127.0.0.1:{ports.redis}",
        flink_url=f"http://127.0.0.1:{ports.flink_rest}",
        api_url=f"http://127.0.0.1:{ports.api}",
        token=keys.token,
        model_key=keys.model_key,
        mask_key=keys.mask_key,
        pace=pace,
    )
