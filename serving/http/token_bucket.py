"""A token bucket: requests at a steady rate, and a few more at once."""

import math


class TokenBucket:
    """Requests take a token each; tokens come back at a steady rate.

    >>> bucket = TokenBucket(rate_per_s=2.0, burst=3, now_s=0.0)
    >>> [bucket.take(now_s=0.0) for _ in range(4)]
    [0.0, 0.0, 0.0, 0.5]
    >>> bucket.take(now_s=0.5), bucket.remaining
    (0.0, 0)
    """

    def __init__(self, *, rate_per_s: float, burst: int, now_s: float) -> None:
        self.rate_per_s = rate_per_s
        self.burst = burst
        self._tokens = float(burst)
        self._at_s = now_s

    def take(self, *, now_s: float) -> float:
        """Take a token; returns 0, or the seconds until there is one."""
        since_s, self._at_s = max(0.0, now_s - self._at_s), max(now_s, self._at_s)
        self._tokens = min(float(self.burst), self._tokens + since_s * self.rate_per_s)
        if self._tokens < 1:
            return (1 - self._tokens) / self.rate_per_s
        self._tokens -= 1
        return 0.0

    @property
    def remaining(self) -> int:
        """Whole tokens that are left."""
        return int(self._tokens)

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """`RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10)."""
        window_s = math.ceil(self.burst / self.rate_per_s)
        full_s = math.ceil((self.burst - self._tokens) / self.rate_per_s)
        return (
            (b"ratelimit-policy", f'"key";q={self.burst};w={window_s}'.encode()),
            (b"ratelimit", f'"key";r={self.remaining};t={full_s}'.encode()),
        )
