"""Seasonal models: which model the alias `season` follows today, by `seasons.yaml` in the stack's folder.

Serving has no calendar: when the season changes, the reconciler writes a record to topic `control`, which serving
follows.
"""

import re
from collections.abc import Collection

import msgspec
from msgspec import Struct, field, structs
from rich.table import Table

from headrace.console import screen
from headrace.errors import UsageProblem
from headrace.layout import Endpoints, Layout
from headrace.log.decision import decide
from headrace.log.trainings import finished_trainings, is_unfinished
from headrace.schemas.defaults import LIVE_MODEL
from headrace.schemas.times import now_ms
from headrace.schemas.topics import CONTROL_TOPIC
from headrace.schemas.versions.aliases import MODEL_NAME, SEASON, follow_decision
from headrace.store.kafka.log import read_values
from headrace.store.snapshot_files import complete, snapshots_of
from headrace.timestamps import day

_DAY = re.compile(r"(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")


class Season(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model and the days of every year it serves: MM-DD in UTC, both included, over New Year if `to` is earlier."""

    name: str
    begin: str = field(name="from")
    end: str = field(name="to")
    model: str

    def contains(self, today: str) -> bool:
        """Whether a day, MM-DD, is in the season.

        >>> Season(name="winter", begin="12-01", end="02-28", model="w").contains("01-15")
        True
        """
        begin, end = self.begin, self.end
        return begin <= today <= end if begin <= end else today >= begin or today <= end


def read_seasons(layout: Layout) -> list[Season]:
    """Read the seasons of a stack; where two overlap, the first in the file applies.

    Raises:
        UsageProblem: the file is not valid.
    """
    if not layout.seasons_file.exists():
        return []
    try:
        seasons = msgspec.yaml.decode(layout.seasons_file.read_bytes(), type=list[Season])
    except (OSError, msgspec.DecodeError) as error:
        message = f"{layout.seasons_file} is not valid: {error}; write a list of name, from, to and model"
        raise UsageProblem(message) from error
    for season in seasons:
        for text, form in ((season.begin, _DAY), (season.end, _DAY), (season.model, MODEL_NAME)):
            if not form.fullmatch(text):
                message = (
                    f"{layout.seasons_file}: {season.name} has {text!r}; write days as '12-24', a model by its name"
                )
                raise UsageProblem(message)
    return seasons


def follow_season(layout: Layout, endpoints: Endpoints, *, followed: str, trained: Collection[str]) -> None:
    """Point the alias `season` at the current season's model, at live's if there is no season or no calendar.

    Raises:
        UsageProblem: the file is not valid. EnvironmentProblem: the broker did not accept the decision.
    """
    seasons = read_seasons(layout)
    now = find_season(layout, seasons, _today(), trained=trained)
    model = now.model if now else LIVE_MODEL
    if (seasons or followed) and model != followed:  # removing the calendar ends its season
        why = f"season {now.name}" if now else "no season"
        decide(endpoints, structs.replace(follow_decision(model, SEASON), who="reconciler", why=why))


def find_season(layout: Layout, seasons: list[Season], today: str, *, trained: Collection[str]) -> Season | None:
    """The first season that contains a day and whose model can be served; None if there is none."""
    return next(
        (each for each in seasons if each.contains(today) and not unservable(layout, each.model, trained=trained)), None
    )


def unservable(layout: Layout, model: str, *, trained: Collection[str]) -> str:
    """Why a model cannot be served, empty if it can; `trained`: the models whose training is recorded as complete."""
    if is_unfinished(layout, model, trained=trained):
        return f"training is not finished: `headrace train --model {model}`"
    return "" if complete(snapshots_of(layout.snapshots, model)) else "has no snapshot: train it"


def show(layout: Layout, endpoints: Endpoints) -> None:
    """Print the calendar and today's season; nothing if there is no calendar."""
    seasons, table = read_seasons(layout), Table("season", "from", "to", "model", "", box=None, pad_edge=False)
    trained = finished_trainings(read_values(endpoints.bootstrap, CONTROL_TOPIC.name)) if seasons else frozenset[str]()
    now = find_season(layout, seasons, _today(), trained=trained)
    for each in seasons:
        state = "now" if each is now else unservable(layout, each.model, trained=trained)
        table.add_row(each.name, each.begin, each.end, each.model, state)
    if seasons:
        screen().print(table)


def _today() -> str:
    return day(now_ms())[5:]
