"""Recorded logs that `headrace replay` reads: each format turns a file into items and visits, in time order.

A visit is one item shown to one user, with the feedback. Columns that became known only after the item was shown are
used only in the feedback.
"""

import csv
import gzip
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct

from headrace.errors import UsageProblem
from headrace.schemas.catalogue import Item

Feedback: TypeAlias = tuple[tuple[str, float | None], ...]
_SESSION_GAP_MS = 30 * 60_000


class Visit(Struct, frozen=True, kw_only=True):
    """One item shown to a user at `at_ms`; `feedback` holds (event type, value) in the order it came."""

    user_id: str
    item_id: str
    at_ms: int
    session_id: str
    feedback: Feedback


class Recording(Struct, frozen=True):
    """A whole recorded log: its items, known before the first visit, and its visits by time, ties in file order."""

    items: list[Item]
    visits: list[Visit]


def kuairand(path: Path) -> Recording:
    """Short-video exposures of KuaiRand: TSV with a header.

    Columns read: `user_id, video_id, time_ms, is_click, long_view, play_time_ms, duration_ms`.
    Videos have no category in this extract; the length, known before a video is shown, replaces it.
    """
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = sorted(csv.DictReader(file, delimiter="\t"), key=lambda row: int(row["time_ms"]))
    items: dict[str, Item] = {}
    for row in rows:
        video = row["video_id"]
        items.setdefault(video, Item(item_id=video, category=_length(int(row["duration_ms"]))))
    visits = [(row["user_id"], row["video_id"], int(row["time_ms"]), tuple(_kuairand_feedback(row))) for row in rows]
    return Recording(list(items.values()), list(in_sessions(visits)))


def _kuairand_feedback(row: dict[str, str]) -> Iterator[tuple[str, float | None]]:
    if row["is_click"] == "1":
        yield "click", None
    if int(row["play_time_ms"]) > 0:
        yield "dwell", int(row["play_time_ms"]) / 1000
    if row["long_view"] == "1":
        yield "long_view", None


def _length(duration_ms: int) -> str:
    if duration_ms == 0:
        return "unknown length"
    for seconds in (7, 15, 30, 60, 120, 240):
        if duration_ms <= seconds * 1000:
            return f"up to {seconds} s"
    return "over 240 s"


def movietweetings(path: Path) -> Recording:
    """Film ratings of MovieTweetings: `user::film::rating::unix seconds`; `movies.dat.gz` in the same folder.

    Every rating is a positive, whatever its value, because it is a tweet about a film. It is replayed as a click and a
    `rating`.
    """
    films = path.with_name("movies.dat.gz")
    with gzip.open(films, "rt", encoding="utf-8") as file:
        items = [_film(line.rstrip("\n").split("::")) for line in file]
    with gzip.open(path, "rt", encoding="utf-8") as file:
        ratings = sorted((line.rstrip("\n").split("::") for line in file), key=lambda rating: int(rating[3]))
    visits = [
        (user, film, int(at_s) * 1000, (("click", None), ("rating", float(value))))
        for user, film, value, at_s in ratings
    ]
    return Recording(items, list(in_sessions(visits)))


def _film(fields: list[str]) -> Item:
    film, title, genres = fields
    tags = [genre for genre in genres.split("|") if genre]
    return Item(item_id=film, category=tags[0] if tags else "unknown genre", title=title, tags=tags)


def in_sessions(rows: Iterable[tuple[str, str, int, Feedback]]) -> Iterator[Visit]:
    """Split each user's rows into sessions, which end with a pause of half an hour."""
    last: dict[str, tuple[int, int]] = {}
    for user, item, at_ms, feedback in rows:
        before, number = last.get(user, (at_ms, 0))
        number += at_ms - before > _SESSION_GAP_MS
        last[user] = (at_ms, number)
        yield Visit(user_id=user, item_id=item, at_ms=at_ms, session_id=f"{user}-{number}", feedback=feedback)


def shown_together(visits: Sequence[Visit], rows: Iterable[int], *, slates: Sequence[str] = ()) -> list[list[int]]:
    """Split rows of one time into requests: what a user saw at one time was asked for at once.

    `slates`: of each visit, the slate that the log names, "" for none; two slates of a user are two requests.
    """
    requests: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        requests.setdefault((visits[row].user_id, slates[row] if slates else ""), []).append(row)
    return list(requests.values())


READERS: dict[str, Callable[[Path], Recording]] = {"kuairand": kuairand, "movietweetings": movietweetings}


def read(path: Path, recording_format: str) -> Recording:
    """Read a recorded log.

    Raises:
        UsageProblem: the file or the format does not exist, or the file is not in the format.
    """
    if recording_format not in READERS:
        message = f"there is no format {recording_format!r}; the formats are {', '.join(READERS)}"
        raise UsageProblem(message)
    if not path.exists():
        message = f"there is no file {path}"
        raise UsageProblem(message)
    reader = READERS[recording_format]
    try:
        recording = reader(path)
    except (KeyError, ValueError, OSError) as error:
        message = f"{path} is not in the format {recording_format}: {error!r}. {reader.__doc__}"
        raise UsageProblem(message) from error
    if not recording.visits:
        message = f"{path} has no visits to replay. {reader.__doc__}"
        raise UsageProblem(message)
    return recording
