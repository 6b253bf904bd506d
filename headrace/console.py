"""Consoles for people: tables on standard output, progress on standard error."""

import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_WIDE = 200  # characters


def screen() -> Console:
    """Standard output: as wide as the terminal; in a pipe or a file, wide enough that no name is cut."""
    return Console(width=None if sys.stdout.isatty() else _WIDE)


def progress() -> Progress:
    """Progress bar with the count done and the time remaining."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))
