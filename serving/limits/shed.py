"""The exception of a request that gets no answer because there is no time for it."""

from typing import Literal, TypeAlias

Reason: TypeAlias = Literal["busy", "expired", "late"]
"""`busy`: refused on arrival. `expired`: the deadline passed before its turn. `late`: the answer was ready too late."""


class Shed(Exception):
    """A request is not answered: HTTP 503. The same request may be answered later."""

    def __init__(self, detail: str, *, reason: Reason) -> None:
        super().__init__(detail)
        self.reason = reason
