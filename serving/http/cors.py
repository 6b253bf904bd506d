"""Which pages may call the API from a browser: those of the origins in the settings, and those that a key names."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from litestar.config.cors import CORSConfig

from headrace.serving.http.keys import Keys
from headrace.serving.http.openapi import HEADERS

Headers = dict[str, str]


@dataclass
class _KeyedOrigins(CORSConfig):
    """Origins of the settings, and of the keys as they are now. A preflight names no key, so those of all keys pass."""

    keys: Keys = field(default_factory=lambda: Keys([]))

    def is_origin_allowed(self, origin: str) -> bool:
        """Whether pages of an origin may call."""
        return super().is_origin_allowed(origin) or self.keys.allows_origin(origin)


def headers_for(config: CORSConfig, origin: str) -> Headers:
    """What lets a page of this origin read an answer that the framework has not made; nothing if it may not."""
    if not origin or not config.is_origin_allowed(origin):
        return {}
    return {**config.simple_headers, "Access-Control-Allow-Origin": origin, "Vary": "Origin"}


def cors(origins: Sequence[str], keys: Keys) -> CORSConfig:
    """The framework's settings for these origins."""
    return _KeyedOrigins(
        allow_origins=list(origins),
        allow_methods=["GET", "HEAD", "POST", "PUT"],
        allow_headers=["authorization", "content-type", "x-deadline-ms", "x-request-id", "x-traffic-class"],
        expose_headers=[*HEADERS],
        keys=keys,
    )
