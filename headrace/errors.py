"""Errors of the command line: every message gives the value, the expectation and a fix.

HeadraceError
├── EnvironmentProblem   something on the machine is missing or broken (exit 2)
├── UsageProblem         the command is not valid as given (exit 1)
└── Busy                 another process does it already, or the time is outside --between; try again later (exit 75)
"""


class HeadraceError(Exception):
    """An error whose message is written for the user; `exit_code` is the process's."""

    exit_code = 1


class EnvironmentProblem(HeadraceError):
    """The machine lacks something, or a process of the stack does not work."""

    exit_code = 2


class UsageProblem(HeadraceError):
    """The command is not valid as given."""


class Busy(HeadraceError):
    """Another process does what only one may do, or this is not the time; 75 is EX_TEMPFAIL of sysexits.h."""

    exit_code = 75
