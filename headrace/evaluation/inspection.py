"""`headrace inspect`: report how a log is read, and propose the `headrace evaluate` command for it."""

import shlex
from pathlib import Path

import msgspec
from msgspec import Struct

from headrace.console import screen
from headrace.errors import UsageProblem
from headrace.evaluation import log
from headrace.reading import summary, table
from headrace.reading.proposal import Proposal, propose
from headrace.reading.summary import Summary


class Inspection(Struct, frozen=True, kw_only=True):
    """How a log is read; `command` is empty if the proposal misses columns."""

    log: Summary
    proposal: Proposal
    command: str


def inspect(path: Path) -> Inspection:
    """Read a log and guess its columns.

    Raises:
        UsageProblem: the file does not exist, is not a table, or two of its columns share a name.
    """
    found = table.read(path, ())
    proposal = propose(found)
    summarized = _summary_as_proposed(path, proposal) or Summary(
        file=path.name,
        form=found.form,
        rows=len(found.rows) + len(found.unusable),
        read=len(found.rows),
        columns=summary.describe_columns(found),
        time=None,
        left_out=summary.group_by_reason(found.unusable),
    )
    task = "" if proposal.task == "ctr" else f" --task {proposal.task}"
    command = (
        f"headrace evaluate {shlex.quote(str(path))} --map {shlex.quote(proposal.map)}{task}" if proposal.map else ""
    )
    return Inspection(log=summarized, proposal=proposal, command=command)


def _summary_as_proposed(path: Path, proposal: Proposal) -> Summary | None:
    """Summary of the log as evaluate would read it; None if it could not."""
    try:
        return log.read(path, log.parse_columns(proposal.map, ()), warm_share=1.0).summary if proposal.map else None
    except UsageProblem:
        return None


def command(path: Path, *, json: bool) -> None:
    """Print how a log is read, as JSON or for people.

    Raises:
        UsageProblem: the log cannot be read.
    """
    found = inspect(path)
    if json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    out = screen()
    for line in found.log.lines:
        out.print(line, markup=False, highlight=False)
    if found.command:
        out.print(f"\n{found.command}", markup=False, highlight=False, soft_wrap=True)
    else:
        missing = ", ".join(found.proposal.missing)
        out.print(f"\nno column looks like the {missing}: name it in --map user=…,item=…,time=…", markup=False)
