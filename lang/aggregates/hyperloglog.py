"""Approximate count of distinct values in bounded space: HyperLogLog with the newest time of each cell.

A value falls into one of `REGISTERS` registers with a rank, the position of the first 1 bit of its hash. A store keeps
the newest time of each (register, rank), so a reader can use any window, and the order of arrival does not matter. The
standard error is 1.04 / sqrt(REGISTERS), 4.6 %; below about 400 values it is one or two per cent.

Source: Flajolet, Fusy, Gandouet, Meunier, "HyperLogLog" (2007), figure 3, without the correction for 32-bit hashes.
"""

import hashlib
import math
from collections.abc import Iterable

REGISTERS = 512
_HASH_BITS = 64
_RANK_BITS = _HASH_BITS - REGISTERS.bit_length() + 1
MOST_CELLS = REGISTERS * (_RANK_BITS + 1)
STANDARD_ERROR_RATIO = 1.04 / math.sqrt(REGISTERS)
_ALPHA = 0.7213 / (1 + 1.079 / REGISTERS)


def cell_of(value: str) -> str:
    """The cell "register:rank" of a value.

    >>> cell_of("u1") == cell_of("u1")
    True
    """
    number = int.from_bytes(hashlib.blake2b(value.encode(), digest_size=_HASH_BITS // 8).digest())
    rest, register = divmod(number, REGISTERS)
    return f"{register}:{_RANK_BITS - rest.bit_length() + 1}"


def estimate(cells: Iterable[str]) -> float:
    """Estimate the number of distinct values from their cells.

    >>> round(estimate(cell_of(str(n)) for n in range(10_000)), -3)
    10000.0
    """
    ranks: dict[str, int] = {}
    for cell in cells:
        register, _, rank = cell.partition(":")
        ranks[register] = max(ranks.get(register, 0), int(rank))
    empty = REGISTERS - len(ranks)
    raw = _ALPHA * REGISTERS**2 / (empty + sum(2.0**-rank for rank in ranks.values()))
    if raw <= 2.5 * REGISTERS and empty:
        return REGISTERS * math.log(REGISTERS / empty)
    return raw
