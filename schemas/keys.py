"""Keys of the API, as a key file and HEADRACE_KEYS hold them: what each may do, and the hash of its token."""

import hashlib
from collections.abc import Iterable
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from headrace.schemas.patterns import KEY_NAME, ORIGIN, SHA256

Scope: TypeAlias = Literal["recommend", "events", "catalogue", "admin", "debug"]
"""`recommend`: slates and similar items. `events`, `catalogue`: write them. `admin`: models. `debug`: features, why."""
Traffic: TypeAlias = Literal["live", "batch", "admin"]
"""Classes of traffic. `live`: a person waits. `batch`: nobody does. `admin`: people who operate Headrace."""
SCOPES: tuple[Scope, ...] = ("recommend", "events", "catalogue", "admin", "debug")
PUBLIC_SCOPES: tuple[Scope, ...] = ("recommend", "events")
"""What a key that everyone can read in a page's source may do."""
PUBLIC_RATE_PER_S = 5.0
_BURST_S = 2  # without `burst`, the requests of two seconds may come at once


class Key(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One key.

    Attributes:
        name: for people, logs and messages.
        sha256: of the token, in hexadecimal digits. A token has 128 random bits, so a slow hash would add nothing.
        surfaces: it may ask for slates of these only; empty for all.
        traffic: the classes of traffic it may use; empty for all.
        origins: pages of these origins may use it from a browser; empty for those that `serving.json` allows.
        public: everyone can read it in a page's source.
        rate_per_s: requests a second, on all workers of a host together; absent for no limit, or 5 if it is public.
        burst: requests that may come at once; absent for those of two seconds.
    """

    name: Annotated[str, Meta(pattern=KEY_NAME)]
    sha256: Annotated[str, Meta(pattern=SHA256)]
    scopes: Annotated[tuple[Scope, ...], Meta(min_length=1)]
    surfaces: tuple[str, ...] = ()
    traffic: tuple[Traffic, ...] = ()
    origins: tuple[Annotated[str, Meta(pattern=ORIGIN)], ...] = ()
    public: bool = False
    rate_per_s: Annotated[float, Meta(gt=0)] | None = None
    burst: Annotated[int, Meta(ge=1)] | None = None

    @property
    def limit(self) -> tuple[float, int] | None:
        """Requests a second, and at once; None for no limit."""
        rate = self.rate_per_s or (PUBLIC_RATE_PER_S if self.public else None)
        return None if rate is None else (rate, self.burst or max(1, round(_BURST_S * rate)))


class KeyFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of a host."""

    keys: tuple[Key, ...] = ()


class KeysError(ValueError):
    """Keys are not consistent."""


def digest(token: str) -> str:
    """The hash of a token, as a key holds it."""
    return hashlib.sha256(token.encode()).hexdigest()


def checked(keys: Iterable[Key]) -> tuple[Key, ...]:
    """The keys.

    Raises:
        KeysError: two have the same name or token, or a public one may do more than a public key should.
    """
    names: set[str] = set()
    owners: dict[str, str] = {}
    for key in keys:
        if key.name in names:
            message = f"keys: there is already a key {key.name!r}; choose another name, or remove that key"
            raise KeysError(message)
        if owner := owners.get(key.sha256):
            message = f"keys: {key.name!r} has the token of {owner!r}; remove one of them"
            raise KeysError(message)
        if key.public and (more := set(key.scopes) - {*PUBLIC_SCOPES}):
            scopes = " and ".join(PUBLIC_SCOPES)
            message = f"keys: {key.name!r} is public and has the scope {min(more)}; a public key may have {scopes}"
            raise KeysError(message)
        names.add(key.name)
        owners[key.sha256] = key.name
    return tuple(keys)
