"""Records bent as the field bends them: from a seed, so that any of them can be made again."""

import json
import random
from collections.abc import Mapping, Sequence

from schemas.limits import DOUBLE_MOST

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
    """Draws odd values and bends records; `rng` is the only source of chance."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def value(self, depth: int = 2) -> object:
        """Anything JSON or Python can hold."""
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
        """A text that somebody's system really sent, or letters of any script."""
        rng = self.rng
        if rng.random() < 0.5:
            return rng.choice(_TEXTS)
        return "".join(
            chr(rng.choice((rng.randrange(32, 127), rng.randrange(0x10000)))) for _ in range(rng.randrange(9))
        )

    def nested(self) -> object:
        """A value some hundred levels deep."""
        value: object = 1
        for _ in range(self.rng.choice((3, 30, 300))):
            value = [value] if self.rng.random() < 0.5 else {"a": value}
        return value

    def near(self, value: object) -> object:
        """A value of the same type, at an end of its range or next to what it was."""
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
            return self.damaged(value)
        if isinstance(value, list):
            return [*value, self.text()] * rng.choice((0, 1, 3, 40))
        return value

    def bent(self, record: Mapping[str, object], *, typed: bool = False) -> dict[str, object]:
        """A record with some fields odd, missing or new; with `typed` its fields and their types stay."""
        rng, bent = self.rng, dict(record)
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            name = rng.choice(list(record))
            kind = rng.randrange(5)
            if typed or kind in (0, 1):
                bent[name] = self.near(bent.get(name))
            elif kind == 2:
                bent.pop(name, None)
            elif kind == 3:
                bent[name] = self.value()
            else:
                bent[self.text()] = self.value()
        return bent

    def json(self, value: object) -> bytes:
        """As lenient writers write it: NaN and lone surrogates too."""
        return json.dumps(value, ensure_ascii=self.rng.random() < 0.5).encode("utf-8", "surrogatepass")

    def damaged(self, payload: bytes) -> bytes:
        """Bytes flipped, cut, doubled or joined by others."""
        rng, damaged = self.rng, bytearray(payload)
        for _ in range(rng.choice((1, 1, 2, 8))):
            place = rng.randrange(len(damaged) + 1)
            kind = rng.randrange(4)
            if kind == 0 and place < len(damaged):
                damaged[place] = rng.randrange(256)
            elif kind == 1:
                del damaged[place:]
            elif kind == 2:
                damaged[place:place] = rng.randbytes(rng.choice((1, 4, 40)))
            else:
                damaged[place:place] = damaged[place : place + rng.randrange(1, 20)]
        return bytes(damaged)

    def choice(self, options: Sequence[bytes]) -> bytes:
        """One of them."""
        return self.rng.choice(options)
