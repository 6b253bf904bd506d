"""`headrace backfill --into-redis`: load the feature topics from their beginning into the store, while the loader runs.

Both write absolute values and never older ones, so they do not disturb each other.
"""

import time
import uuid
from collections.abc import Callable, Sequence

from confluent_kafka import KafkaException
from msgspec import Struct

from headrace.connections.redis_clients import StoreError, connect
from headrace.console import progress
from headrace.errors import EnvironmentProblem, UsageProblem
from headrace.lang.plan.plan import Group
from headrace.layout import Layout
from headrace.schemas.breaker import BrokenProgram
from headrace.store.kafka.log import bounds
from headrace.store.loader import Loader
from headrace.store.redis.usage import measure_usage
from headrace.store.versions import read_versions

_WAIT_S = 1.0
_STALLED_S = 60.0  # without a record: the broker is away, or the records have passed their retention


class RefillResult(Struct, frozen=True, kw_only=True):
    """Records read, keys that the store now holds of their groups, and records that were set aside."""

    records: int
    keys: int
    aside: int


def backfill(layout: Layout, *, groups: Sequence[str], say: Callable[[str], None]) -> None:
    """Refill the store of a running stack with the named groups, all if no names are given.

    Raises:
        UsageProblem: a group does not exist. EnvironmentProblem: Kafka or Redis does not answer.
    """
    endpoints = layout.endpoints()
    try:
        selected = select_groups(read_versions(endpoints.bootstrap).groups(), groups)
        with progress() as bar:
            task = bar.add_task("records", total=None)
            result = fill(
                endpoints.bootstrap,
                endpoints.redis_url,
                selected,
                on_progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
    except (KafkaException, *StoreError, TimeoutError, BrokenProgram) as error:
        message = f"the store could not be filled: {error}; look at `headrace status`, then run the command again"
        raise EnvironmentProblem(message) from error
    aside = f", {result.aside} set aside (`headrace dead`)" if result.aside else ""
    say(f"{result.records} records, {result.keys} keys of {len(selected)} groups{aside}")


def select_groups(groups: Sequence[Group], names: Sequence[str]) -> list[Group]:
    """Select versions by `group` or `group@version`, all if no names are given.

    Raises:
        UsageProblem: no version has one of the names.
    """
    for name in names:
        if not any(name in (group.name, group.title) for group in groups):
            message = f"there is no group {name!r}; the groups are {', '.join(group.title for group in groups)}"
            raise UsageProblem(message)
    return [group for group in groups if not names or group.name in names or group.title in names]


def fill(
    bootstrap: str, redis_url: str, groups: Sequence[Group], *, on_progress: Callable[[int, int], None]
) -> RefillResult:
    """Load all records of these groups' topics; calls `on_progress` with the offsets done and their total.

    Raises:
        KafkaException, StoreError, TimeoutError: Kafka or Redis does not answer. BrokenProgram: most records cannot be
            stored.
    """
    topics = [group.tile_topic for group in groups if group.families]
    topics += [group.sequence_topic for group in groups if group.sequences]
    client, records = connect(redis_url), 0
    loader = Loader(bootstrap=bootstrap, client=client, group=f"backfill-{uuid.uuid4().hex}")
    try:
        ranges = bounds(bootstrap, *topics)
        total = sum(end - begin for begin, end in ranges.values())
        loader.follow(groups)
        done, grew_s = 0, time.monotonic()
        while done < total:
            records += loader.load_batch(timeout_s=_WAIT_S)
            at, before = loader.positions(), done
            done = sum(min(max(at.get(part, begin), begin), end) - begin for part, (begin, end) in ranges.items())
            grew_s = time.monotonic() if done > before else grew_s
            if time.monotonic() - grew_s > _STALLED_S:
                message = f"no record came for {_STALLED_S:g} s; {done} of {total} offsets were read"
                raise TimeoutError(message)
            on_progress(done, total)
    finally:
        loader.close()
    keys = sum(measure_usage(client, group).keys for group in groups)
    client.close()
    return RefillResult(records=records, keys=keys, aside=loader.quarantine.reasons.total())
