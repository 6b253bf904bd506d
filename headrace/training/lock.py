"""At most one at a time: a lock that the system lets go of when its process ends, however it ends."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace.errors import Busy


@contextmanager
def alone(path: Path, *, what: str) -> Iterator[None]:
    """Hold a file's lock.

    Raises:
        Busy: another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"{what} runs already and holds {path}, one at a time is expected; wait for it and try again"
            raise Busy(message) from error
        yield
