"""Aliases of models in topic `control`: pinned to a version, or following a model (docs/adr/0017)."""

import re
from collections.abc import Iterable

from schemas.control import Control, control_of

ALIAS = "alias/"
LIVE, CHALLENGER = "live", "challenger"
FOLLOWING = (LIVE, CHALLENGER)  # these follow a model and are never pinned
MODEL_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")  # of a folder, a process and a key of the log
PIN, FOLLOW = "pin", "follow"


def follow(model: str) -> Control:
    """A decision that the challenger is this model, none if empty; yet without who, when and why."""
    return Control(name=f"{ALIAS}{CHALLENGER}", action=FOLLOW, arguments={"model": model}, who="", at=0, why="")


def followed(payloads: Iterable[bytes | None], before: str = "") -> str:
    """The model that is the challenger after these records of the topic; empty where there is none."""
    for record in map(control_of, payloads):
        if record is not None and record.name == f"{ALIAS}{CHALLENGER}" and record.action == FOLLOW:
            before = record.arguments.get("model", before)
    return before
