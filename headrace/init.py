"""`headrace init`: write a small working project, a copy of the starter that comes with the package."""

import shutil
from pathlib import Path

from headrace.errors import UsageProblem
from headrace.layout import PROJECT_FILE, STARTER

_PLACES = {"gitignore": ".gitignore", "features.yml": ".github/workflows/features.yml"}  # a wheel has no hidden files


def init(folder: Path) -> list[str]:
    """Copy the starter into a folder and return what was written, as paths in it.

    Raises:
        UsageProblem: the folder has one of these files already, or cannot be written to.
    """
    files = {path: _place(path.relative_to(STARTER)) for path in _files(STARTER)}
    if taken := sorted(str(place) for place in files.values() if (folder / place).exists()):
        more = f" and {len(taken) - 1} more of these files" if len(taken) > 1 else ""
        message = f"{folder} has {taken[0]}{more} already; choose a new or an empty folder"
        raise UsageProblem(message)
    try:
        for path, place in files.items():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / place)
    except OSError as error:
        message = f"{folder} cannot be written to: {error}"
        raise UsageProblem(message) from error
    return sorted(map(str, files.values()))


def _files(folder: Path) -> list[Path]:
    """All files below a folder; unlike Path.rglob, also of folders that are links, as they are in a checkout."""
    children = sorted(folder.iterdir())
    return [found for child in children for found in (_files(child) if child.is_dir() else [child])]


def _place(path: Path) -> Path:
    return Path(_PLACES.get(str(path), path))


def next_steps(folder: Path) -> str:
    """What to do with a new project, for the terminal."""
    return f"wrote a project to {folder} (its environments are in {PROJECT_FILE}); next: cd {folder} && headrace up"
