"""A hash that gives the same result in Python, in SQL and with `md5sum`."""

from hashlib import md5

from headrace.schemas.redis_keys import MEMBER_SEPARATOR as SEPARATOR

HEX_DIGITS = 7
"""Leading digits of MD5's 32 that are used: a float64 holds the number exactly, and there are enough buckets."""
MOST_BUCKETS = 16**HEX_DIGITS


def bucket_of(text: str, buckets: int) -> int:
    """The bucket of a text, in [0, buckets).

    >>> bucket_of("shoes", 1000)
    431
    """
    return int(md5(text.encode(), usedforsecurity=False).hexdigest()[:HEX_DIGITS], 16) % buckets


def cross_of(*parts: object) -> str:
    """Join several values into one text. Values that contain the separator may collide; ids do not contain it."""
    return SEPARATOR.join(map(str, parts))
