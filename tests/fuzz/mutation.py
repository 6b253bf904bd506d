"""Alters records the way real systems do, from a seed, so that every input can be reproduced."""

import json
import random
from collections.abc import Mapping, Sequence

from headrace.schemas.limits import DOUBLE_MOST

NOW_MS = 1_770_000_000_000
_INTEGERS = (
    0, 1, -1, 255, 1 << 31, -(1 << 31) - 1, 1 << 53, (1 << 63) - 1, 1 << 63, -(1 << 63), -(1 << 63) - 1, 1 << 70,
)  # fmt: skip
_TIMES = (NOW_MS, NOW_MS // 1000, NOW_MS * 1000, NOW_MS * 10**6, 631_152_000_000, 4_102_444_799_999, -NOW_MS, 0)
_FLOATS = (
    0.0,
    -0.0,
    5e-324,
    1e30,
    DOUBLE_MOST,
    -DOUBLE_MOST,
    1e39,
    1e300,
    1e308,
    float("nan"),
    float("inf"),
    0.1,
    86_400.5,
)
_TEXTS = (
    "", " ", "\x00", "\x1f", "\x7f", "_tick", "*", "}{", "{u}", "a:b", "a/b", "%2F", "\\", "'", '"', "\u2028", "\ufeff",
    "\U0001f389", "e\u0301", "\u202e", "u" * 256, "u" * 257, "\ud800", "null", "NaN", "1e999", "../..", "0x1f", "\r\n",
)  # fmt: skip


class Mutator:
    """Draws unusual values and alters records; `rng` is its only source of randomness."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def value(self, depth: int = 2) -> object:
        """Any value that JSON or Python can represent."""
        rng = self.rng
        kind = rng.randrange(9 if depth else 6)
        if kind == 0:
            return rng.choice((None, True, False))
        if kind == 1:
            return rng.choice(_INTEGERS) + rng.choice((0, 0, 1, -1))
        if kind == 2:
            return rng.choice(_TIMES)
        if kind == 3:
            return rng.choice(_FLOATS)
        if kind in (4, 5):
            return self.text()
        if kind == 6:
            return [self.value(depth - 1) for _ in range(rng.randrange(4))]
        if kind == 7:
            return {self.text(): self.value(depth - 1) for _ in range(rng.randrange(4))}
        return self.nested()

    def text(self) -> str:
        """A string that a real system has sent, or characters of any script."""
        rng = self.rng
        if rng.random() < 0.5:
            return rng.choice(_TEXTS)
        return "".join(
            chr(rng.choice((rng.randrange(32, 127), rng.randrange(0x10000)))) for _ in range(rng.randrange(9))
        )

    def nested(self) -> object:
        """A value nested up to 300 levels deep."""
        value: object = 1
        for _ in range(self.rng.choice((3, 30, 300))):
            value = [value] if self.rng.random() < 0.5 else {"a": value}
        return value

    def near(self, value: object) -> object:
        """A value of the same type, near the old value or at a limit of its range."""
        rng = self.rng
        if isinstance(value, bool):
            return not value
        if isinstance(value, int):
            return rng.choice((value + 1, value - 1, -value, value * 1000, value // 1000, *_INTEGERS[:7], *_TIMES))
        if isinstance(value, float):
            return rng.choice((-value, value * 10, *_FLOATS))
        if isinstance(value, str):
            return self.text()
        if isinstance(value, bytes):
            return self.damage(value)
        if isinstance(value, list):
            return [*value, self.text()] * rng.choice((0, 1, 3, 40))
        return value

    def alter(self, record: Mapping[str, object], *, typed: bool = False) -> dict[str, object]:
        """A record with unusual, missing or additional fields; `typed` keeps the fields and their types."""
        rng, altered = self.rng, dict(record)
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            name = rng.choice(list(record))
            kind = rng.randrange(5)
            if typed or kind in (0, 1):
                altered[name] = self.near(altered.get(name))
            elif kind == 2:
                altered.pop(name, None)
            elif kind == 3:
                altered[name] = self.value()
            else:
                altered[self.text()] = self.value()
        return altered

    def json(self, value: object) -> bytes:
        """Encode as a lenient writer does, with NaN and lone surrogates."""
        return json.dumps(value, ensure_ascii=self.rng.random() < 0.5).encode("utf-8", "surrogatepass")

    def damage(self, payload: bytes) -> bytes:
        """The payload with bytes replaced, truncated, inserted or repeated."""
        rng, damaged = self.rng, bytearray(payload)
        for _ in range(rng.choice((1, 1, 2, 8))):
            offset = rng.randrange(len(damaged) + 1)
            kind = rng.randrange(4)
            if kind == 0 and offset < len(damaged):
                damaged[offset] = rng.randrange(256)
            elif kind == 1:
                del damaged[offset:]
            elif kind == 2:
                damaged[offset:offset] = rng.randbytes(rng.choice((1, 4, 40)))
            else:
                damaged[offset:offset] = damaged[offset : offset + rng.randrange(1, 20)]
        return bytes(damaged)

    def choice(self, options: Sequence[bytes]) -> bytes:
        """Choose one option."""
        return self.rng.choice(options)
