"""The account of a rude feed: what was written, what became of each record, and what must hold afterwards."""

import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice

import msgspec
from msgspec import Struct

from headrace.errors import EnvironmentProblem
from headrace.lang.events.computed import Computation
from headrace.lang.expressions.per_event import Event
from headrace.lang.plan.clean_topic import contract
from headrace.models.ranker.config import RankerConfig
from headrace.schemas.dead_letter import DEAD
from headrace.schemas.partition import tick_key
from headrace.schemas.topics import EVENT_PARTITIONS, EVENTS_DEAD, MODEL_DELTAS
from headrace.schemas.versions.delta import Manifest, manifest_of
from headrace.stack.flink_rest import FlinkRest
from headrace.stack.jobs import JOBS
from headrace.store.kafka.log import read_to_end, read_values
from tests.support.comparison import by_the_oracle, mismatches
from tests.support.line import TEST_PACE, Line, Place
from tests.support.odd_records import CLEAN, DUPLICATE, Odd, odd_events
from tests.support.odd_topics import (
    Letter,
    odd_clean,
    odd_decisions,
    odd_deltas,
    odd_exposures,
    odd_items,
    odd_rows,
    odd_samples,
    odd_tiles,
    odd_urgent,
)
from tests.support.polite import Polite
from tests.support.random_events import owned, random_events

_ODD_SHARE = 20  # each twentieth record of the feed
_USERS_COMPARED = 20
PATIENCE_S = 240.0
CADENCE_MS = TEST_PACE.cadence_s * 1000


class Feed(Struct, frozen=True, kw_only=True):
    """What is written to `events`, in this order, and the events in it that are not odd."""

    records: Sequence[Odd]
    polite: Sequence[Event]


class Standing(Struct, frozen=True):
    """What must be as before at the end: starts by program, restarts by job, refused versions by check."""

    starts: dict[str, int]
    restarts: dict[str, int]
    rejected: dict[str, int]


def feed_of(count: int, *, tag: str, now_ms: int) -> Feed:
    """`count` records, as random events with an odd record after each nineteen."""
    span_ms = 600_000
    polite = random_events(
        count - count // _ODD_SHARE, seed=13, tag=tag, start_ms=now_ms - span_ms, span_ms=span_ms, users=count // 100
    )
    odd = odd_events(tag=tag, now_ms=now_ms, polite=[f"{tag}-u{n}" for n in range(count // 100)])
    records: list[Odd] = []
    seen: set[object] = set()
    for number, event in enumerate(polite):
        expected = DUPLICATE if event["event_id"] in seen else CLEAN
        seen.add(event["event_id"])
        payload = msgspec.json.encode(event)
        records.append(Odd(kind="polite", key=str(event["user_id"]), payload=payload, expected=expected))
        if number % (_ODD_SHARE - 1) == 0:
            records += islice(odd, 1)
    return Feed(records=records, polite=list({event["event_id"]: event for event in polite}.values()))


def standing(line: Line, polite: Polite) -> Standing:
    """Now."""
    states = line.supervisor.programs()
    assert {state for state, pid in states.values() if pid} == {"RUNNING"}, states
    rest = FlinkRest(line.endpoints.flink_url)
    assert all(map(rest.is_running, JOBS))
    restarts = {name: life.restarts for name, life in rest.job_statuses()}
    starts = {name: life.starts for name, life in line.supervisor.uptimes().items()}
    return Standing(starts, restarts, polite.client.list_models().rejected)


def manifests(line: Line) -> list[Manifest]:
    """The versions of the model on the log."""
    found = map(manifest_of, read_values(line.endpoints.bootstrap, MODEL_DELTAS.name))
    return [each for each in found if each is not None and each.model == "ranker" and each.created_at]


def write_feed(line: Line, feed: Feed, *, parts: int, between: Callable[[], None]) -> list[Place]:
    """Write a part of the feed for each version of the model; `between` once, after the first of them."""
    places: list[Place] = []
    size = -(-len(feed.records) // parts)
    for part in range(parts):
        known = len(manifests(line))
        some = feed.records[part * size : (part + 1) * size]
        places += line.write("events", [(each.key, each.payload) for each in some])
        if part == 0:
            between()
        line.wait(lambda known=known: len(manifests(line)) > known, "the next version", PATIENCE_S)
    return places


def write_last(line: Line, tag: str) -> set[Place]:
    """An event at the end of each partition; returns where they lie."""
    now = line.now()
    events = [
        {
            "event_id": f"{tag}-last-{partition}",
            "user_id": tick_key(partition, EVENT_PARTITIONS),
            "event_type": "view",
            "occurred_at": now,
            "received_at": now,
        }
        for partition in range(EVENT_PARTITIONS)
    ]
    return set(line.write_events(events))


def clean_rows(line: Line) -> dict[Place, dict[str, object]]:
    """`events.clean` by the place in `events`; what was written there otherwise is left out."""
    rows = line.read("events.clean", contract(line.plan.source("clickstream")).decode)
    return {
        (int(str(row["source_partition"])), int(str(row["source_offset"]))): row
        for row in rows
        if not str(row["event_id"]).endswith("-odd-clean")
    }


def outcomes(line: Line, places: Sequence[Place]) -> tuple[dict[Place, str], dict[Place, dict[str, object]]]:
    """What became of the records at these places, and the clean ones."""
    mine = set(places)
    clean = {place: row for place, row in clean_rows(line).items() if place in mine}
    found = dict.fromkeys(places, DUPLICATE) | dict.fromkeys(clean, CLEAN)
    letters = Counter[Place]()
    for letter in line.read(EVENTS_DEAD.name, DEAD.decode):
        place = (int(str(letter["partition"])), int(str(letter["offset"])))
        if letter["topic"] == "events" and place in mine:
            letters[place] += 1
            found[place] = f"dead:{str(letter['reason']).partition(':')[0]}"
    assert set(letters.values()) <= {1}, "a dead letter once"
    assert not letters.keys() & clean.keys(), "clean or dead"
    return found, clean


def account(feed: Feed, places: Sequence[Place], found: dict[Place, str]) -> str:
    """The feed by partition, and its dead letters by code."""
    lines = ["partition  events  clean  duplicates  dead"]
    for partition in range(EVENT_PARTITIONS):
        counts = Counter(found[place].partition(":")[0] for place in places if place[0] == partition)
        lines.append(
            f"{partition:9}  {counts.total():6}  {counts[CLEAN]:5}  {counts[DUPLICATE]:10}  {counts['dead']:4}"
        )
    lines.append("dead: code, found, expected")
    told = Counter(found[place] for place in places)
    expected = Counter(record.expected for record in feed.records)
    codes = sorted({*told, *expected} - {CLEAN, DUPLICATE})
    lines += [f"  {code.removeprefix('dead:'):10} {told[code]:5} {expected[code]:5}" for code in codes]
    return "\n".join(lines)


def odd_letters(line: Line, tag: str) -> list[Letter]:
    """Odd records of all other topics."""
    now, owner, item = line.now(), f"{tag}-u1", f"{tag}-i1"
    plan = line.plan
    return [
        *odd_items(now),
        *odd_exposures(now, tag),
        *odd_samples(now, tag),
        *odd_urgent(now, tag),
        *odd_deltas(now, signing=line.endpoints.model_key.encode(), config=RankerConfig()),
        *odd_decisions(now),
        *odd_tiles(plan.group("item_engagement"), item, now),
        *odd_tiles(plan.group("user_recent"), owner, now),
        *odd_rows(plan.group("user_recent"), owner, now),
        *odd_clean(plan, tag, now),
    ]


def check_the_letters(line: Line, letters: Sequence[Letter], places: Sequence[Place]) -> str:
    """Each odd record of the other topics stands in the quarantine with its code, or is passed over; as a table."""
    wanted = {
        (letter.topic, *place): letter
        for letter, place in zip(letters, places, strict=True)
        if letter.topic != MODEL_DELTAS.name
    }
    found: dict[tuple[str, int, int], str] = {}

    def look() -> dict[tuple[str, int, int], str]:
        for letter in line.read("quarantine", DEAD.decode):
            place = (str(letter["topic"]), int(str(letter["partition"])), int(str(letter["offset"])))
            if place in wanted:
                found[place] = str(letter["reason"]).partition(":")[0]
        return found

    def missing() -> list[str]:
        look()
        return [
            f"{letter.topic}, {letter.kind}: {found.get(place, '') or 'nowhere'}, expected {letter.code or 'nowhere'}"
            for place, letter in wanted.items()
            if found.get(place, "") != letter.code
        ]

    try:
        line.wait(lambda: not missing(), "the odd records in the quarantine", 60)
    finally:
        rows = Counter((letter.topic, letter.code or "passed over") for letter in wanted.values())
        print("\n".join(missing()))
    return "\n".join(f"  {topic:32} {code:12} {count:4}" for (topic, code), count in sorted(rows.items()))


def check_the_features(line: Line, sent: Sequence[Event], keys_of: Callable[[str], list[str]], what: str) -> None:
    """The store equals the oracle for these events, in the groups that `keys_of` has keys for."""
    compared = 0
    for group in owned(line.plan):
        owners = keys_of(group.entity[0])
        if group.pairs is not None:
            keys = [(a, b) for a in owners[-4:] for b in owners[-4:] if a != b]
        elif len(group.entity) == 2:
            members = sorted({str(event.get(group.entity[1])) for event in sent})
            keys = [(owner, member) for owner in owners for member in members]
        else:
            keys = [(owner,) for owner in owners]
        keys = [key for key in keys if "None" not in key]
        compared += bool(keys)
        expected = by_the_oracle(group, sent, keys, at_ms=line.now())
        with contextlib.suppress(EnvironmentProblem):  # what is wrong says more
            line.wait(lambda e=expected: not mismatches(e, line.reader), f"{group.name} of {what}", 60)
        assert mismatches(expected, line.reader) == [], (group.name, what)
    print(f"features of {what} equal the oracle: {len(sent)} events, {compared} groups")


def check_the_versions(line: Line, polite: Polite, *, first: int, until_ms: int) -> str:
    """A version with samples in each cadence of the feed, and the last of them in service."""
    versions = manifests(line)[first:]
    windows = [each.to_ms // CADENCE_MS for each in versions if each.to_ms <= until_ms]
    gaps = set(range(windows[0], windows[-1] + 1)) - set(windows)
    assert not gaps, (windows, gaps)
    assert all(each.stats["samples"] > 0 for each in versions)
    last = versions[-1].version

    def applied() -> bool:
        return last in {each.version for each in polite.client.list_models().history}

    line.wait(applied, f"version {last} in service")
    return f"{len(versions)} versions, {versions[0].version} to {last}, one in each {TEST_PACE.cadence_s} s"


def check_the_later(line: Line, feed: Feed, places: Sequence[Place]) -> None:
    """Of the feed's clean events those whose time is after their writing, and no others, are set aside downstream."""
    decode = contract(line.plan.source("clickstream")).decode
    is_later = {place: record.is_later for record, place in zip(feed.records, places, strict=True)}
    found: dict[tuple[int, int], bool] = {}
    for message in read_to_end(line.endpoints.bootstrap, "events.clean"):
        row = decode(message.value() or b"")
        place = (int(str(row["source_partition"])), int(str(row["source_offset"])))
        if place in is_later and not str(row["event_id"]).endswith("-odd-clean"):
            found[message.partition() or 0, message.offset() or 0] = is_later[place]
    expected = {place for place, later in found.items() if later}
    assert len(expected) == sum(is_later.values())

    def aside() -> set[tuple[int, int]]:
        return {
            (int(str(row["partition"])), int(str(row["offset"])))
            for row in line.read("quarantine", DEAD.decode)
            if row["topic"] == "events.clean" and str(row["reason"]).startswith("time")
        }

    line.wait(lambda: aside() & found.keys() == expected, "the events of later times in the quarantine", 60)


def check_all_features(
    line: Line,
    tag: str,
    *,
    feed: Feed,
    goods: dict[str, dict[str, object]],
    odd: dict[Place, dict[str, object]],
    told: set[str],
) -> None:
    """Of the feed by what was sent, of odd clean events and of the API's users by what is clean."""
    fill = Computation(line.plan.source("clickstream")).fill
    stamped = [
        fill({**event} | {name: goods[str(event["item_id"])][name] for name in ("category", "price", "seller")})
        for event in feed.polite
    ]
    others = [row for row in clean_rows(line).values() if row["event_id"] in told]  # of the feed's items, too
    both = [*stamped, *others]
    check_the_features(line, both, lambda key: [f"{tag}-{key[0]}{n}" for n in range(_USERS_COMPARED)], "the feed")
    now = line.now()
    rude = [row for row in odd.values() if f"{tag}-odd" in str(row["user_id"]) and int(str(row["received_at"])) < now]
    names = sorted({str(row["user_id"]) for row in rude})[:30]
    check_the_features(line, rude, lambda key: names if key == "user_id" else [], "odd users")
    users = [name for name, _ in Counter(str(row["user_id"]) for row in others).most_common(_USERS_COMPARED)]
    check_the_features(line, others, lambda key: users if key == "user_id" else [], "the API's users")


def check_the_outcomes(feed: Feed, places: Sequence[Place], found: dict[Place, str]) -> None:
    """Each record became what its kind says."""
    wrong = [
        f"{record.kind}: {found[place]}, expected {record.expected}"
        for record, place in zip(feed.records, places, strict=True)
        if found[place] != record.expected
    ]
    assert not wrong, wrong[:20]
