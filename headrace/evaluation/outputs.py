"""The files that an evaluation writes: its report for programs, as JSON, and for people, as a page."""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from headrace.errors import UsageProblem
from headrace.evaluation.report import Report
from headrace.reading.summary import Summary


class Run(Struct, frozen=True, kw_only=True):
    """A finished run.

    Attributes:
        log: how the log was read; `items`: how the file of items was read.
        options: what was asked for, as (name, value).
    """

    report: Report
    log: Summary
    items: Summary | None
    options: Sequence[tuple[str, str]]


class Outputs(Struct, frozen=True, kw_only=True):
    """The files to write. `report` is a page, which needs the packages of the extra of that name."""

    json: Path | None = None
    report: Path | None = None

    def check(self) -> None:
        """Check, before a run that takes minutes, that the files can be written.

        Raises:
            UsageProblem: a path cannot be written.
            ModuleNotFoundError: the page needs a package that is not installed.
        """
        for option, path in (("--json", self.json), ("--report", self.report)):
            if path is not None:
                _check(option, path)
        if self.report is not None:
            from headrace.evaluation import page  # noqa: F401 needs the extra `report`

    def write(self, run: Run) -> None:
        """Write the files."""
        if self.json is not None:
            document = msgspec.to_builtins(run.report) | {"log": run.log, "items": run.items}
            self.json.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
        if self.report is not None:
            from headrace.evaluation import page  # needs the extra `report`, the rest does not

            self.report.write_text(page.render(run), encoding="utf-8")


def _check(option: str, path: Path) -> None:
    if not path.parent.is_dir():
        message = f"{option} is {path}, and there is no folder {path.parent}"
    elif path.is_dir():
        message = f"{option} is {path}, which is a folder; name a file in it"
    elif not os.access(path if path.exists() else path.parent, os.W_OK):
        message = f"{option} is {path}, which this user may not write; name another file"
    else:
        return
    raise UsageProblem(message)
