"""Decides when so large a share of records fails that the program, not the records, must be at fault."""


class BrokenProgram(RuntimeError):
    """Too many records fail: the reader is broken, or another version wrote the records."""


class Breaker:
    """Counts failures among recent records; trips at `min_failures` if they are also more than `share` of the records.

    Whenever the counts reach `window` records, both are halved, so older records weigh less.
    """

    def __init__(self, *, share: float = 0.5, window: int = 1_000, min_failures: int = 100) -> None:
        self._share, self._window, self._min_failures = share, window, min_failures
        self._passed = self._failed = 0.0

    def count_passed(self, count: int = 1) -> None:
        """Count records that the reader handled, or refused because of what one client sent."""
        self._passed += count
        self._age()

    def count_failed(self, record: str, reason: str) -> None:
        """Count a record that could not be handled; `record` says which one.

        Raises:
            BrokenProgram: too many records failed.
        """
        self._failed += 1
        total = self._passed + self._failed
        if self._failed >= self._min_failures and self._failed > self._share * total:
            message = (
                f"{self._failed:.0f} of the last {total:.0f} records failed, more than {self._share:.0%}: the reader "
                "is at fault, not the records. Update it or roll it back; `headrace dead` lists them. The last "
                f"record was {record}: {reason}"
            )
            raise BrokenProgram(message)
        self._age()

    def _age(self) -> None:
        if self._passed + self._failed >= self._window:
            self._passed, self._failed = self._passed / 2, self._failed / 2
