"""The folder of the recordings that benchmarks read: `--data`, HEADRACE_DATA, or `shared/data` next to the checkout."""

import os
from argparse import ArgumentParser
from pathlib import Path

from headrace.errors import UsageProblem
from headrace.layout import REPOSITORY


def add_folder(parser: ArgumentParser) -> None:
    """Add the option `--data` to a parser."""
    default = REPOSITORY.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("HEADRACE_DATA", default)))


def file_in(folder: Path, name: str) -> Path:
    """The path of a recording.

    Raises:
        UsageProblem: it is not in the folder.
    """
    path = folder / name
    if not path.exists():
        message = f"{path} does not exist; pass the folder of the recordings with --data or HEADRACE_DATA"
        raise UsageProblem(message)
    return path
