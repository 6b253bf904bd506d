"""`headrace features reference`: write the pages of docs/reference from the code."""

import sys
from pathlib import Path

from headrace.lang.reference.error_page import errors_page
from headrace.lang.reference.pages import pages
from headrace.layout import REPOSITORY

FOLDER = REPOSITORY / "docs" / "reference"


def reference(folder: Path = FOLDER) -> None:
    """Write the reference of the feature language from the code, as `make docs` does.

    Args:
        folder: folder for the pages; other .md files in it are deleted.
    """
    wanted = reference_pages()
    folder.mkdir(parents=True, exist_ok=True)
    for stale in {*folder.glob("*.md")} - {folder / name for name in wanted}:
        stale.unlink()
    for name, text in wanted.items():
        (folder / name).write_text(text, encoding="utf-8")
    sys.stdout.write(f"{len(wanted)} pages in {folder}\n")


def reference_pages() -> dict[str, str]:
    """File name to text of every page."""
    return pages() | {"errors.md": errors_page()}
