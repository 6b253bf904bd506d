"""Where the recordings lie that benchmarks read: `--data`, or HEADRACE_DATA, or beside the checkout."""

import os
from argparse import ArgumentParser
from pathlib import Path

from headrace.errors import UsageProblem
from headrace.layout import REPOSITORY


def add_folder(parser: ArgumentParser) -> None:
    """Give a command the option `--data`."""
    beside = REPOSITORY.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("HEADRACE_DATA", beside)))


def file_in(folder: Path, name: str) -> Path:
    """A recording's file.

    Raises:
        UsageProblem: it is not in the folder.
    """
    path = folder / name
    if not path.exists():
        message = f"there is no {path}; HEADRACE_DATA names the folder of the recordings"
        raise UsageProblem(message)
    return path
