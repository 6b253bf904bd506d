"""Load a folder of feature files for a verb."""

from pathlib import Path

from headrace.errors import UsageProblem
from headrace.lang.errors.report import LangError
from headrace.lang.plan.plan import Plan
from headrace.lang.planner.load import Findings, check_files, read_texts


def findings(folder: Path) -> Findings:
    """Parse the files of a folder; returns their declarations, errors and warnings.

    Raises:
        UsageProblem: the folder does not exist.
    """
    if not folder.is_dir():
        message = f"there is no folder {folder}: run this in a project (`headrace init` makes one), or give the folder"
        raise UsageProblem(message)
    return check_files(read_texts(folder))


def plan_in(folder: Path) -> Plan:
    """Load the plan of a folder of feature files.

    Raises:
        UsageProblem: the folder does not exist, declares no group, or its files have errors, all listed in the message.
    """
    return usable(findings(folder), folder)


def usable(found: Findings, folder: Path) -> Plan:
    """The plan of a folder's findings.

    Raises:
        UsageProblem: the files have errors, or declare no group.
    """
    if found.errors:
        raise UsageProblem("\n" + str(LangError(found.errors)))
    if not found.plan.groups:
        message = f"{folder} declares no feature group; a group is a file with FEATURE GROUP"
        raise UsageProblem(message)
    return found.plan
