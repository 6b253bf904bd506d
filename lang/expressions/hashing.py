"""A hash that Python, SQL and a person with `md5sum` agree on."""

from hashlib import md5

from schemas.redis_keys import MEMBER_SEPARATOR as SEPARATOR

HEX_DIGITS = 7
"""Of MD5's 32, from the left: a whole number that float64 holds, and as many buckets as anybody asks for."""
MOST_BUCKETS = 16**HEX_DIGITS


def bucket_of(text: str, buckets: int) -> int:
    """The bucket of a text, in [0, buckets).

    >>> bucket_of("shoes", 1000)
    431
    """
    return int(md5(text.encode(), usedforsecurity=False).hexdigest()[:HEX_DIGITS], 16) % buckets


def cross_of(*parts: object) -> str:
    """Several values as one text. Where one of them holds the separator, which ids do not by custom, two may meet."""
    return SEPARATOR.join(map(str, parts))
