"""What goes wrong on this machine: every message names the value, the expectation and the hint.

HeadraceError
├── EnvironmentProblem   something on the machine is missing or broken (exit 2)
├── UsageProblem         the user asked for something that cannot be done (exit 1)
└── Busy                 not now: another process is at it, or it is outside --between; the same command later (exit 75)
"""


class HeadraceError(Exception):
    """An error whose message is written for the person at the keyboard."""

    exit_code = 1


class EnvironmentProblem(HeadraceError):
    """The machine lacks something, or a process of the stack is not well."""

    exit_code = 2


class UsageProblem(HeadraceError):
    """The command cannot be carried out as given."""


class Busy(HeadraceError):
    """Another process does what only one may do, or it is not the time; 75 is sysexits.h's temporary failure."""

    exit_code = 75
