"""When records that cannot be handled stop being the records' fault."""


class BrokenProgram(RuntimeError):
    """Too many records fail: the reader is broken, or the records are of another version."""


class Breaker:
    """Counts failures among the last records: more than `share` of them, and at least `least`, are too many.

    Once `window` records have been counted, all counts are halved, so that older records weigh less.
    """

    def __init__(self, *, share: float = 0.5, window: int = 1_000, least: int = 100) -> None:
        self._share, self._window, self._least = share, window, least
        self._passed = self._failed = 0.0

    def count_passed(self, count: int = 1) -> None:
        """Count records that do not speak against the reader: handled, or refused for what one client did."""
        self._passed += count
        self._age()

    def count_failed(self, place: str, reason: str) -> None:
        """Count a record that could not be handled.

        Raises:
            BrokenProgram: that makes too many.
        """
        self._failed += 1
        total = self._passed + self._failed
        if self._failed >= self._least and self._failed > self._share * total:
            message = (
                f"{self._failed:.0f} of the last {total:.0f} records failed, more than {self._share:.0%}: the reader "
                "is at fault, not the records. Update it or roll it back; `headrace dead` lists them. The last "
                f"record was {place}: {reason}"
            )
            raise BrokenProgram(message)
        self._age()

    def _age(self) -> None:
        if self._passed + self._failed >= self._window:
            self._passed, self._failed = self._passed / 2, self._failed / 2
