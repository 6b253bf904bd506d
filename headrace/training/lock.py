"""A file lock for one process at a time; the system releases it when the process ends, however it ends."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace.errors import Busy


@contextmanager
def exclusive_lock(path: Path, *, what: str) -> Iterator[None]:
    """Hold a file's lock; `what` names the work in the error.

    Raises:
        Busy: another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"{what} is running already and holds {path}; only one may run: wait for it and try again"
            raise Busy(message) from error
        yield
