"""Aliases of models in topic `control`: pinned to a version, or following a model (docs/adr/0017)."""

import re
from collections.abc import Iterable, Mapping

from headrace.schemas.control import Control, control_of

ALIAS = "alias/"
LIVE, CHALLENGER, SEASON = "live", "challenger", "season"
FOLLOWING = (LIVE, CHALLENGER, SEASON)  # aliases that follow a model and are never pinned
MODEL_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")  # also names a folder, a process and a key of the log
PIN, FOLLOW = "pin", "follow"


def follow_decision(model: str, alias: str = CHALLENGER) -> Control:
    """A decision that an alias follows this model, or no model if empty; who, when and why are still blank."""
    return Control(name=f"{ALIAS}{alias}", action=FOLLOW, arguments={"model": model}, who="", at=0, why="")


def followed_models(payloads: Iterable[bytes | None], before: Mapping[str, str]) -> dict[str, str]:
    """The model that each alias follows after these records of the topic; empty if it follows none."""
    models = dict(before)
    for record in map(control_of, payloads):
        if record is not None and record.name.startswith(ALIAS) and record.action == FOLLOW:
            models[record.name.removeprefix(ALIAS)] = record.arguments.get("model", "")
    return models
