"""The images that docker/*.Dockerfile describe: the last stage of flink.Dockerfile, the targets of the other."""

import json
from pathlib import Path

import pytest
from msgspec import Struct

from headrace.layout import REPOSITORY

DOCKER = REPOSITORY / "docker"
TARGETS = {"headrace-loader": "loader", "headrace-learner": "learner", "headrace-serving": "serving"}


class Instruction(Struct, frozen=True):
    """One instruction: `words` of its exec form, or its text as one word."""

    name: str
    words: tuple[str, ...]
    flags: tuple[str, ...] = ()
    text: str = ""


class Stage(Struct, frozen=True):
    """A stage, and the name of the stage or image that it begins with."""

    name: str
    base: str
    instructions: tuple[Instruction, ...]


class Image(Struct, frozen=True, kw_only=True):
    """What a container of an image starts with."""

    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    user: str
    checks: bool
    instructions: tuple[Instruction, ...]


def stages(file: Path) -> dict[str, Stage]:
    """The stages of a file in order; one without a name is called `final`."""
    parser = pytest.importorskip("e2b_dockerfile_utils", reason="e2b-dockerfile-utils is not installed")
    found: dict[str, Stage] = {}
    for each in parser.parse_dockerfile_ast(file.read_text(encoding="utf-8")).instructions:
        if each.name.upper() == "FROM":
            words = each.args if len(each.args) > 1 else each.original.split()[1:]
            name = words[2] if len(words) == 3 else "final"
            found[name] = Stage(name, words[0], ())
        elif found:
            step = Instruction(each.name.upper(), tuple(each.args), tuple(each.flags), each.original)
            last = found[name]
            found[name] = Stage(last.name, last.base, (*last.instructions, step))
    return found


def images() -> dict[str, Image]:
    """All images that the repository builds."""
    flink, others = stages(DOCKER / "flink.Dockerfile"), stages(DOCKER / "headrace.Dockerfile")
    built = {name: _image(target, others) for name, target in TARGETS.items()}
    return {"headrace-flink": _image("final", flink), **built}


def _image(target: str, found: dict[str, Stage]) -> Image:
    steps = _with_bases(target, found)
    last = {each.name: each for each in steps}
    command = last.get("CMD")
    return Image(
        entrypoint=_exec_form(last["ENTRYPOINT"]),
        command=_exec_form(command) if command else (),
        user=last["USER"].words[0],
        checks="HEALTHCHECK" in last,
        instructions=steps,
    )


def _with_bases(target: str, found: dict[str, Stage]) -> tuple[Instruction, ...]:
    stage = found[target]
    return (*(_with_bases(stage.base, found) if stage.base in found else ()), *stage.instructions)


def _exec_form(step: Instruction) -> tuple[str, ...]:
    return tuple(json.loads(step.text[step.text.index("[") :]))
