"""Load a folder of feature files for a verb."""

from collections.abc import Iterator
from pathlib import Path

from headrace.errors import UsageProblem
from headrace.lang.errors.report import LangError
from headrace.lang.plan.plan import Plan
from headrace.lang.plan.roles import Roles
from headrace.lang.planner.load import Findings, check_files, read_texts
from headrace.schemas.model.model_file import ModelFileError, load_model_file
from headrace.schemas.model.ranker_inputs import COMPUTED, Inputs, Side


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


def inputs_in(folder: Path) -> Inputs:
    """The inputs that a folder's `model.toml` declares; those over the shipped groups without one.

    Raises:
        UsageProblem: it is not valid; the message lists all problems.
    """
    try:
        return load_model_file(folder).inputs
    except ModelFileError as error:
        raise UsageProblem(str(error)) from error


def misplaced(plan: Plan, inputs: Inputs) -> Iterator[str]:
    """Inputs that the files declare, but not as a number for the side that they are declared for."""
    for column in inputs.columns:
        group_name, _, name = column.name.partition(".")
        group = plan.find(group_name)
        if group is None or column.name in COMPUTED or not group.has(name):
            continue
        if name not in group.dense:
            yield f"{column.name}, which is no number"
        elif group.entity not in (entities := _entities(column.side, group.source.roles)):
            keys = " or ".join(", ".join(entity) for entity in entities)
            yield f"{column.name} under [{column.side}], but its entity is {', '.join(group.entity)}, not {keys}"


def _entities(side: Side, roles: Roles) -> tuple[tuple[str, ...], ...]:
    """The entities of groups whose features can be inputs of a side."""
    members = ("category", "seller")
    if side == "user":
        return ((roles.user,),)
    if side == "item":
        return ((roles.item,), *((name,) for name in members))
    return tuple((roles.user, name) for name in members)
