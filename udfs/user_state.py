"""The label join's state for one user: open slates, waiting feedback, and the daily limit on what trains."""

from msgspec import Struct, field, structs

from headrace.schemas.model.heads import Heads
from headrace.udfs.served import TooMany
from headrace.udfs.slates import Feedback, OpenSlate, find_slot

TRAINING_PER_DAY = 50  # feedback events per user and UTC day; later ones, and slates served after them, weigh 0
MOST_OPEN = 5_000  # open slates of a user, and waiting feedback events: together they are one value of state
_UNNAMED = ["click", "converted", "engagement"]  # the heads of a state that does not name them: all were these once
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS


def day_end_ms(at_ms: int) -> int:
    """The time after which no record received on the UTC day of `at_ms` is expected, ms: 01:00 of the next day."""
    return (at_ms // _DAY_MS + 1) * _DAY_MS + _HOUR_MS


class UserState(Struct, kw_only=True, array_like=True):
    """The label join's state for one user.

    Attributes:
        slates: open slates by request.
        early: feedback that came before its exposure, by request.
        deferred: feedback whose time is ahead of the watermark.
        due: (time, request) at which a slate closes or is forgotten.
        counts: feedback events by UTC day, kept until `day_end_ms`.
        full: by UTC day, the time from which slates do not train, kept as long.
        heads: the names of the heads by the order of their bits in the slates; empty: `_UNNAMED`.
    """

    slates: dict[str, OpenSlate] = field(default_factory=dict[str, OpenSlate])
    early: dict[str, list[Feedback]] = field(default_factory=dict[str, list[Feedback]])
    deferred: list[Feedback] = field(default_factory=list[Feedback])
    due: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    counts: dict[int, int] = field(default_factory=dict[int, int])
    full: dict[int, int] = field(default_factory=dict[int, int])
    heads: list[str] = field(default_factory=list[str])

    def adopt(self, heads: Heads) -> None:
        """Make the bits of the slates those of the declared heads, if they are of others.

        A head keeps its bits by its name, wherever it is declared now, and those of a head that is gone are dropped. A
        new head counts as written in every slate kept: the job did not read its events when these were served.
        """
        before, now = self.heads or _UNNAMED, [head.name for head in heads.table]
        if before == now:
            return
        places = {name: 1 << place for place, name in enumerate(before)}
        new = sum(bit for name, bit in heads.bits.items() if name not in places)
        moves = [(places[name], bit) for name, bit in heads.bits.items() if name in places]

        def moved(bits: int) -> int:
            return sum(to for old, to in moves if bits & old)

        for slate in self.slates.values():
            slate.positive = [new | moved(bits) for bits in slate.positive]
            slate.negative = [moved(bits) for bits in slate.negative]
        self.heads = [] if now == _UNNAMED else now

    def empty(self) -> bool:
        """Whether there is nothing to keep."""
        return not (self.slates or self.early or self.deferred or self.due or self.counts)

    def check_room(self) -> None:
        """Check that one more slate or feedback fits.

        Raises:
            TooMany: the user has reached `MOST_OPEN`.
        """
        waiting = len(self.deferred) + sum(map(len, self.early.values()))
        for count, what in ((len(self.slates), "open slates"), (waiting, "waiting feedback events")):
            if count >= MOST_OPEN:
                message = f"many: the user has {count} {what}, at most {MOST_OPEN} are kept"
                raise TooMany(message)

    def admit(self, feedback: Feedback) -> Feedback:
        """Count a feedback towards the daily limit. Called in log order, so that a replay decides the same."""
        day = feedback.received_at // _DAY_MS
        self.counts[day] = self.counts.get(day, 0) + 1
        if self.counts[day] == TRAINING_PER_DAY:
            self.full[day] = feedback.received_at
        return feedback if self.counts[day] <= TRAINING_PER_DAY else structs.replace(feedback, trains=False)

    def exclude(self, received_at: int, *, wait_ms: int) -> None:
        """Exclude a bot from training: its open slates and the rest of its day."""
        since = received_at - wait_ms
        for day in range(since // _DAY_MS, received_at // _DAY_MS + 1):
            self.counts[day] = max(self.counts.get(day, 0), TRAINING_PER_DAY)
            self.full[day] = min(self.full.get(day, since), since)

    def is_first_of_day(self, feedback: Feedback) -> bool:
        """Whether this is the first feedback counted for its day."""
        return self.counts[feedback.received_at // _DAY_MS] == 1

    def forget_days(self, now: int) -> None:
        """Drop the counts of days that are over, after marking the slates of full days."""
        for request_id in self.slates:
            self.slate(request_id)
        self.counts = {day: count for day, count in self.counts.items() if day_end_ms(day * _DAY_MS) > now}
        self.full = {day: at for day, at in self.full.items() if day in self.counts}

    def slate(self, request_id: str) -> OpenSlate | None:
        """The open slate of a request, its `full` brought up to date."""
        slate = self.slates.get(request_id)
        if slate is not None:
            slate.full |= slate.served_at >= self.full.get(slate.served_at // _DAY_MS, slate.served_at + 1)
        return slate

    def take_ready(self, now: int) -> list[Feedback]:
        """Remove and return the deferred feedback up to `now`, in order of time."""
        ready = sorted((each for each in self.deferred if each.received_at <= now), key=lambda each: each.received_at)
        self.deferred = [each for each in self.deferred if each.received_at > now]
        return ready

    def take_due(self, now: int) -> list[str]:
        """Remove and return the requests due up to `now`, in order of time."""
        due = sorted(entry for entry in self.due if entry[0] <= now)
        self.due = [entry for entry in self.due if entry[0] > now]
        return [request_id for _, request_id in due]

    def latest_request(self, feedback: Feedback) -> str | None:
        """The latest request of the feedback's session that had served its item by the time of the feedback."""
        served = [
            (slate.served_at, request_id)
            for request_id, slate in self.slates.items()
            if slate.session_id == feedback.session_id
            and slate.served_at <= feedback.received_at
            and find_slot(slate, feedback) is not None
        ]
        return max(served)[1] if served else None
