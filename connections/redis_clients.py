# pyright: reportUnknownMemberType=false
"""Creates all clients of the store: a Redis server, a Redis Cluster, or the primary that sentinels know.

The address chooses which; credentials and certificates are the settings below `redis` (docs/connect.md).
"""

from collections.abc import Mapping
from typing import Any, TypeAlias
from urllib.parse import SplitResult, urlsplit

import redis
import redis.asyncio as asynchronous
from redis.asyncio.client import Pipeline as AsyncServerPipeline
from redis.asyncio.cluster import ClusterPipeline as AsyncClusterPipeline
from redis.asyncio.cluster import RedisCluster as AsyncRedisCluster
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import NoBackoff
from redis.client import Pipeline as ServerPipeline
from redis.cluster import ClusterPipeline, RedisCluster
from redis.exceptions import RedisClusterException
from redis.sentinel import Sentinel

from headrace.connections.settings import text, variable
from headrace.schemas.environment import SettingError

Client: TypeAlias = redis.Redis | RedisCluster
AsyncClient: TypeAlias = asynchronous.Redis | AsyncRedisCluster
Pipeline: TypeAlias = ServerPipeline | ClusterPipeline
AnyPipeline: TypeAlias = Pipeline | AsyncServerPipeline | AsyncClusterPipeline
StoreError = (redis.RedisError, RedisClusterException)
"""The exceptions that a client raises when the store does not answer."""

_CLUSTER, _SENTINEL = "+cluster", "+sentinel"
_SCHEMES = frozenset(tls + kind for tls in ("redis", "rediss") for kind in ("", _CLUSTER, _SENTINEL))
_SENTINEL_PORT = 26379
_CREDENTIALS = ("username", "password")
ADDRESS = (
    "redis://host:port, redis+cluster://host:port of any node of a cluster, or "
    "redis+sentinel://host:port,host:port/service; rediss:// is with TLS"
)
_FILES = {"ssl_ca_certs": "redis.tls.ca", "ssl_certfile": "redis.tls.certificate", "ssl_keyfile": "redis.tls.key"}


def connect(url: str, *, timeout_s: float | None = None) -> Client:
    """A client for `url` (see `ADDRESS`). For a server nothing is sent yet; for a cluster its nodes are looked up.

    Raises:
        SettingError: the address or a setting below `redis` is not valid.
        StoreError: no node of the cluster answers.
    """
    address, options = _checked(url), _options(url, timeout_s)
    if _CLUSTER in address.scheme:
        return RedisCluster.from_url(_plain(url), **options)
    if _SENTINEL in address.scheme:
        own = _of_sentinels(options)
        return Sentinel(_sentinels(address), sentinel_kwargs=own, **options).master_for(_service(address))
    return redis.Redis.from_url(url, **options)


def connect_async(url: str, *, timeout_s: float) -> AsyncClient:
    """A client for `url` (see `ADDRESS`) for use on an event loop. Nothing is sent yet.

    A read that times out fails at once and closes its connection: a late reply must not answer another request.

    Raises:
        SettingError: the address or a setting below `redis` is not valid.
    """
    address, options = _checked(url), _options(url, timeout_s)
    retry = AsyncRetry(NoBackoff(), 0)
    if _CLUSTER in address.scheme:
        return AsyncRedisCluster.from_url(_plain(url), retry=retry, **options)
    if _SENTINEL in address.scheme:
        own = _of_sentinels(options)
        sentinel = AsyncSentinel(_sentinels(address), sentinel_kwargs=own, retry=retry, **options)
        return sentinel.master_for(_service(address))
    return asynchronous.Redis.from_url(url, retry=retry, **options)


def check(url: str) -> None:
    """Raise SettingError if the address or a setting below `redis` is not valid; nothing is sent."""
    _checked(url)
    _options(url, None)


def is_cluster(client: Client | AsyncClient) -> bool:
    """Whether the store is a cluster."""
    return isinstance(client, RedisCluster | AsyncRedisCluster)


def keys_per_command(keys: list[str], *, on_cluster: bool) -> list[list[str]]:
    """Split keys into lists for one command each: single keys on a cluster, where they are on different slots."""
    if on_cluster:
        return [[key] for key in keys]
    return [keys] if keys else []


def _checked(url: str) -> SplitResult:
    try:
        address = urlsplit(url)
        ports = [port for _, port in _sentinels(address)]
    except ValueError:
        address, ports = SplitResult("", "", "", "", ""), []
    if address.query or address.fragment:
        where = url.partition("?")[0].partition("#")[0]
        message = f"the store's address {where}?… has options: set {variable('redis')}_… instead (docs/connect.md)"
        raise SettingError(message)
    if address.scheme not in _SCHEMES or not address.hostname or not ports:
        message = f"{url!r} is not the address of a store. It must be {ADDRESS}"
        raise SettingError(message)
    if "@" in address.netloc:
        where = f"{address.scheme}://***@{address.netloc.rpartition('@')[2]}"
        message = (
            f"the store's address {where} holds credentials, which would be seen in lists of processes and in logs: "
            f"set {variable('redis.username')} and {variable('redis.password')}, or {variable('redis.password')}_FILE"
        )
        raise SettingError(message)
    if _SENTINEL in address.scheme:
        _service(address)
    return address


def _options(url: str, timeout_s: float | None) -> dict[str, Any]:
    options: dict[str, Any] = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
    for name in _CREDENTIALS:
        if value := text(f"redis.{name}"):
            options[name] = value
    files = {option: path for option, name in _FILES.items() if (path := text(name))}
    if files and not url.startswith("rediss"):
        names = ", ".join(variable(_FILES[option]) for option in files)
        message = f"{names} is set, but the store's address {url} is one without TLS: write rediss instead of redis"
        raise SettingError(message)
    if url.startswith(f"rediss{_SENTINEL}"):
        options["ssl"] = True
    return options | files


def _plain(url: str) -> str:
    """The address of a node of a cluster as redis-py wants it."""
    return url.replace(_CLUSTER, "", 1)


def _sentinels(address: SplitResult) -> list[tuple[str, int]]:
    places = (urlsplit(f"//{each}") for each in address.netloc.split(","))
    return [(place.hostname or "", place.port or _SENTINEL_PORT) for place in places]


def _of_sentinels(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the connections to sentinels, which have users of their own, or none."""
    shared = {name: value for name, value in options.items() if name not in _CREDENTIALS}
    return shared | {name: value for name in _CREDENTIALS if (value := text(f"redis.sentinel.{name}"))}


def _service(address: SplitResult) -> str:
    service = address.path.strip("/")
    if not service:
        message = f"{address.geturl()!r} names no service: write the name that the sentinels know, {ADDRESS}"
        raise SettingError(message)
    return service
