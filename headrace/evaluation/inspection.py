"""`headrace inspect`: how a log is understood, and how `headrace evaluate` would be asked about it."""

import shlex
from pathlib import Path

import msgspec
from msgspec import Struct

from headrace.console import screen
from headrace.errors import UsageProblem
from headrace.evaluation import log
from headrace.evaluation.reading import summary, table
from headrace.evaluation.reading.proposal import Proposal, proposed
from headrace.evaluation.reading.summary import Summary


class Inspection(Struct, frozen=True, kw_only=True):
    """A log as understood; `command` is empty where columns are missing from the proposal."""

    log: Summary
    proposal: Proposal
    command: str


def inspect(path: Path) -> Inspection:
    """Read a log and guess its columns.

    Raises:
        UsageProblem: there is no such file, two columns share a name, or it is no table.
    """
    found = table.read(path, ())
    proposal = proposed(found)
    understood = _as_proposed(path, proposal) or Summary(
        file=path.name,
        form=found.form,
        rows=len(found.rows) + len(found.faults),
        read=len(found.rows),
        columns=summary.columns_of(found),
        time=None,
        left_out=summary.left_out_of(found.faults),
    )
    task = "" if proposal.task == "ctr" else f" --task {proposal.task}"
    command = (
        f"headrace evaluate {shlex.quote(str(path))} --map {shlex.quote(proposal.map)}{task}" if proposal.map else ""
    )
    return Inspection(log=understood, proposal=proposal, command=command)


def _as_proposed(path: Path, proposal: Proposal) -> Summary | None:
    """How evaluate would understand it; None where it would not."""
    try:
        return log.read(path, log.columns_of(proposal.map, ()), warm_share=1.0).summary if proposal.map else None
    except UsageProblem:
        return None


def command(path: Path, *, json: bool) -> None:
    """Print what is understood of a log, as JSON or for people.

    Raises:
        UsageProblem: it cannot be read.
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
        out.print(f"\nno column seems to hold the {missing}: name them, --map user=…,item=…,time=…", markup=False)
