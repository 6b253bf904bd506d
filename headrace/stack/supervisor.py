"""Keep the stack's processes alive: supervisord, one per stack, over a unix socket.

supervisord restarts processes that die, writes the logs, and is the parent of every process of the stack. Their
process ids and start times are also recorded in a file, so that `down` ends exactly those if supervisord was killed.
"""

import contextlib
import os
import re
import shlex
import subprocess
import sys
import xmlrpc.client
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
import psutil
from msgspec import Struct

from headrace.layout import STATE_VARIABLE, Layout

SUPERVISOR_LOG = "supervisord.log"
_SPAWNED = re.compile(r"INFO spawned: '([^']+)'")
_BEGUN = "supervisord started with pid"


class Program(Struct, frozen=True, kw_only=True):
    """One process to keep alive, in a `folder` if that matters. `priority`: lower starts first and stops last."""

    name: str
    command: list[str]
    environment: Mapping[str, str] = {}
    priority: int = 100
    stop_wait_s: int = 10
    autostart: bool = True
    folder: Path | None = None


class Recorded(Struct, frozen=True):
    """A process the stack started: a process id alone may be reused, id and start time together are unique."""

    pid: int
    started: float


class Uptime(Struct, frozen=True):
    """When a program was last started (seconds since 1970), and how often, by supervisord's log."""

    since_s: int
    starts: int


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def config_text(layout: Layout, programs: Iterable[Program]) -> str:
    """The text of supervisord.conf for these programs."""
    lines = [
        "[supervisord]",
        f"logfile={_escape(str(layout.logs / SUPERVISOR_LOG))}",
        f"pidfile={_escape(str(layout.supervisor_pid))}",
        "logfile_maxbytes=5MB",
        f"childlogdir={_escape(str(layout.logs))}",
        "[unix_http_server]",
        f"file={_escape(str(layout.supervisor_socket))}",
        "chmod=0700",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
        "[include]",
        f"files={layout.programs.name}/*.conf",  # relative: a path with spaces would be read as several
    ]
    return "\n".join([*lines, *(section(layout, program) for program in programs)]) + "\n"


def section(layout: Layout, program: Program) -> str:
    """The section of supervisord.conf for one program."""
    environment = ",".join(f'{key}="{_escape(value)}"' for key, value in program.environment.items())
    lines = [
        f"[program:{program.name}]",
        f"command={_escape(shlex.join(program.command))}",
        f"environment={environment}",
        f"priority={program.priority}",
        f"autostart={str(program.autostart).lower()}",
        "autorestart=true",
        "startsecs=2",
        "startretries=1000000",
        f"stopwaitsecs={program.stop_wait_s}",
        "stopasgroup=true",
        "killasgroup=true",
        "redirect_stderr=true",
        *([f"directory={_escape(str(program.folder))}"] if program.folder else []),
        f"stdout_logfile={_escape(str(layout.logs / program.name))}.log",
        "stdout_logfile_maxbytes=20MB",
        "stdout_logfile_backups=1",
    ]
    return "\n".join(lines)


def _escape(text: str) -> str:
    """Escape %, which supervisord expands in its file."""
    return text.replace("%", "%%")


class Supervisor:
    """The supervisord of one stack."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def start(self, programs: Iterable[Program]) -> None:
        """Start supervisord in its own process session, so that it survives the terminal."""
        layout = self._layout
        for added in layout.programs.glob("*.conf"):
            added.unlink()
        layout.supervisor_config.write_text(config_text(layout, programs))
        daemon = [sys.executable, "-W", "ignore", "-m", "supervisor.supervisord", "-c", str(layout.supervisor_config)]
        subprocess.run(daemon, check=True, stdin=subprocess.DEVNULL, start_new_session=True)

    def is_up(self) -> bool:
        """Whether supervisord answers."""
        try:
            self._call("getState")
        except (OSError, xmlrpc.client.Error):
            return False
        return True

    def programs(self) -> dict[str, tuple[str, int]]:
        """Name to (state, process id or 0)."""
        found = self._call("getAllProcessInfo")
        return {process["name"]: (process["statename"], process["pid"]) for process in found}

    def uptimes(self) -> dict[str, Uptime]:
        """Name to uptime of every program that was ever started."""
        found = self._call("getAllProcessInfo")
        log = _text(self._layout.logs / SUPERVISOR_LOG).rpartition(_BEGUN)[2]  # each `up` appends to the same log
        spawned = Counter(_SPAWNED.findall(log))
        return {
            process["name"]: Uptime(since_s=process["start"], starts=spawned[process["name"]])
            for process in found
            if process["start"]
        }

    def start_program(self, name: str, *, wait: bool = True) -> None:
        """Start one program; `wait` until it has stayed up for two seconds."""
        self._call("startProcess", name, wait)

    def stop_program(self, name: str) -> None:
        """Stop one program; supervisord does not restart it."""
        self._call("stopProcess", name)

    def has_added(self, program: Program) -> bool:
        """Whether a program was added with exactly this configuration."""
        file = self._config_file(program.name)
        return file.exists() and file.read_text() == self._config(program)

    def add(self, program: Program) -> None:
        """Keep one more program running, until it is removed or supervisord ends."""
        self._config_file(program.name).write_text(self._config(program))
        self._call("reloadConfig")
        self._call("addProcessGroup", program.name)

    def remove(self, name: str) -> None:
        """Stop an added program and forget it."""
        with contextlib.suppress(xmlrpc.client.Fault):  # it may have ended by itself
            self.stop_program(name)
        self._call("removeProcessGroup", name)
        self._config_file(name).unlink(missing_ok=True)

    def shutdown(self) -> None:
        """Stop every program, then supervisord."""
        with contextlib.suppress(OSError, xmlrpc.client.Error):
            self._call("shutdown")

    def _config(self, program: Program) -> str:
        return section(self._layout, program) + "\n"

    def _config_file(self, name: str) -> Path:
        return self._layout.programs / f"{name}.conf"

    def _call(self, method: str, *arguments: str | bool):
        from supervisor.xmlrpc import SupervisorTransport  # only there where a stack runs on this machine

        transport = SupervisorTransport(None, None, f"unix://{self._layout.supervisor_socket}")
        with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as proxy:
            return getattr(proxy.supervisor, method)(*arguments)


def inherit(layout: Layout, environment: Mapping[str, str]) -> dict[str, str]:
    """This process's environment, overridden by `environment` and the stack's folder."""
    return {**os.environ, **environment, STATE_VARIABLE: str(layout.home)}


def tree(layout: Layout) -> list[psutil.Process]:
    """Supervisord and all its descendants, supervisord first; empty if it does not run."""
    with contextlib.suppress(OSError, ValueError, psutil.Error):
        root = psutil.Process(int(layout.supervisor_pid.read_text()))
        if str(layout.supervisor_config) in root.cmdline():
            return [root, *root.children(recursive=True)]
    return []


def record(layout: Layout) -> None:
    """Record the processes that run now, in addition to those recorded before that still run."""
    alive = {(recorded.pid, recorded.started) for recorded in recorded_alive(layout)}
    for process in tree(layout):
        with contextlib.suppress(psutil.NoSuchProcess):
            alive.add((process.pid, process.create_time()))
    partial = layout.processes_file.with_suffix(".partial")
    partial.write_bytes(msgspec.json.encode([Recorded(pid, started) for pid, started in sorted(alive)]))
    partial.rename(layout.processes_file)


def recorded_alive(layout: Layout) -> list[Recorded]:
    """Recorded processes that still run."""
    if not layout.processes_file.exists():
        return []
    recorded = msgspec.json.decode(layout.processes_file.read_bytes(), type=list[Recorded])
    return [entry for entry in recorded if _same(entry)]


def _same(entry: Recorded) -> bool:
    try:
        process = psutil.Process(entry.pid)
        return process.create_time() == entry.started and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def end_recorded(layout: Layout, *, patience_s: float) -> None:
    """Terminate the recorded processes that still run, then kill those left after `patience_s`; touch no others."""
    processes = [psutil.Process(entry.pid) for entry in recorded_alive(layout)]
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, stubborn = psutil.wait_procs(processes, timeout=patience_s)
    for process in stubborn:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(stubborn, timeout=patience_s)


def proportional_memory_mb(processes: Iterable[psutil.Process]) -> float:
    """Sum of PSS in MB: shared pages count once over all processes."""
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.Error, OSError):
            total += _pss_kb(Path(f"/proc/{process.pid}/smaps_rollup")) or process.memory_info().rss // 1024
    return total / 1024


def _pss_kb(rollup: Path) -> int:
    if not rollup.exists():  # not Linux
        return 0
    for line in rollup.read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0
