"""Where tables are printed: as wide as the terminal, and in a pipe or a file wide enough that no name is cut."""

import sys

from rich.console import Console

_WIDE = 200  # characters


def screen() -> Console:
    """Standard output."""
    return Console(width=None if sys.stdout.isatty() else _WIDE)
