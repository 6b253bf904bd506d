"""Models by the calendar: which one the alias `season` is to follow today, by `seasons.yaml` in the stack's folder.

Serving knows no calendar: it follows the record of topic `control` that the keeper writes when a season turns.
"""

import re
import time
from collections.abc import Collection

import msgspec
from msgspec import Struct, field, structs
from rich.table import Table

from headrace.console import screen
from headrace.errors import UsageProblem
from headrace.layout import Endpoints, Layout
from headrace.log.decision import decide
from headrace.log.trainings import finished_trainings, is_unfinished
from headrace.timestamps import day
from schemas.aliases import MODEL_NAME, SEASON, follow_decision
from schemas.defaults import LIVE_MODEL
from schemas.topics import CONTROL_TOPIC
from store.log import read_values

_DAY = re.compile(r"(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")


class Season(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Days of every year, MM-DD in UTC, both included, over New Year where `to` is the earlier; and their model."""

    name: str
    begin: str = field(name="from")
    end: str = field(name="to")
    model: str

    def holds(self, today: str) -> bool:
        """Whether a day, MM-DD, is in it.

        >>> Season(name="winter", begin="12-01", end="02-28", model="w").holds("01-15")
        True
        """
        begin, end = self.begin, self.end
        return begin <= today <= end if begin <= end else today >= begin or today <= end


def seasons_of(layout: Layout) -> list[Season]:
    """The seasons of a stack; where two hold, the one that stands first does.

    Raises:
        UsageProblem: the file cannot be followed.
    """
    if not layout.seasons_file.exists():
        return []
    try:
        seasons = msgspec.yaml.decode(layout.seasons_file.read_bytes(), type=list[Season])
    except (OSError, msgspec.DecodeError) as error:
        message = f"{layout.seasons_file} cannot be followed: {error}; write a list of name, from, to and model"
        raise UsageProblem(message) from error
    for season in seasons:
        for told, form in ((season.begin, _DAY), (season.end, _DAY), (season.model, MODEL_NAME)):
            if not form.fullmatch(told):
                message = (
                    f"{layout.seasons_file}: {season.name} has {told!r}; write days as '12-24', a model by its name"
                )
                raise UsageProblem(message)
    return seasons


def turn(layout: Layout, endpoints: Endpoints, *, followed: str, trained: Collection[str]) -> None:
    """Have the alias follow the model of the season that holds, live's where none does or the calendar is gone.

    Raises:
        UsageProblem: the file cannot be followed. EnvironmentProblem: the broker did not take the decision.
    """
    seasons = seasons_of(layout)
    now = season_at(layout, seasons, _today(), trained=trained)
    model = now.model if now else LIVE_MODEL
    if (seasons or followed) and model != followed:  # a calendar that is taken away ends its season
        why = f"season {now.name}" if now else "no season"
        decide(endpoints, structs.replace(follow_decision(model, SEASON), who="keeper", why=why))


def season_at(layout: Layout, seasons: list[Season], today: str, *, trained: Collection[str]) -> Season | None:
    """The first season that holds on a day and whose model lacks nothing; None where there is none."""
    return next(
        (each for each in seasons if each.holds(today) and not lacking(layout, each.model, trained=trained)), None
    )


def lacking(layout: Layout, model: str, *, trained: Collection[str]) -> str:
    """What a model lacks to be served, empty for nothing; `trained`: the models whose training is told as through."""
    if is_unfinished(layout, model, trained=trained):
        return f"is not trained to its end: `headrace train --model {model}`"
    snapshots = layout.artefacts / model / "snapshots"
    return "" if any(snapshots.glob("[0-9]*/meta.json")) else "has no snapshot: train it"


def show(layout: Layout, endpoints: Endpoints) -> None:
    """Print the calendar, and which season holds today; nothing where there is none."""
    seasons, table = seasons_of(layout), Table("season", "from", "to", "model", "", box=None, pad_edge=False)
    trained = finished_trainings(read_values(endpoints.bootstrap, CONTROL_TOPIC.name)) if seasons else frozenset[str]()
    now = season_at(layout, seasons, _today(), trained=trained)
    for each in seasons:
        state = "now" if each is now else lacking(layout, each.model, trained=trained)
        table.add_row(each.name, each.begin, each.end, each.model, state)
    if seasons:
        screen().print(table)


def _today() -> str:
    return day(time.time_ns() // 1_000_000)[5:]
