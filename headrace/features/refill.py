"""`headrace backfill --into-redis`: the feature topics from their beginning into the store, while the loader runs.

Both write absolute values and never back in time, so they do not disturb each other.
"""

import time
import uuid
from collections.abc import Callable, Sequence

from confluent_kafka import KafkaException
from msgspec import Struct

from headrace.console import progress
from headrace.errors import EnvironmentProblem, UsageProblem
from headrace.layout import Layout
from lang.plan.plan import Group
from schemas.breaker import BrokenProgram
from store.connect import StoreError, connect
from store.loader import Loader
from store.log import bounds
from store.usage import measure_usage
from store.versions import read_versions

_WAIT_S = 1.0
_STALLED_S = 60.0  # nothing is read for so long: the broker is away, or what was to be read is no longer kept


class Filled(Struct, frozen=True, kw_only=True):
    """Records read, keys that the store holds of their groups now, and records that were set aside."""

    records: int
    keys: int
    aside: int


def backfill(layout: Layout, *, groups: Sequence[str], say: Callable[[str], None]) -> None:
    """Fill the store of a running stack again with the groups of these names, all if there are none.

    Raises:
        UsageProblem: there is no such group. EnvironmentProblem: Kafka or Redis does not answer.
    """
    endpoints = layout.endpoints()
    try:
        chosen = named(read_versions(endpoints.bootstrap).groups(), groups)
        with progress() as bar:
            task = bar.add_task("records", total=None)
            filled = fill(
                endpoints.bootstrap,
                endpoints.redis_url,
                chosen,
                seen=lambda done, total: bar.update(task, completed=done, total=total),
            )
    except (KafkaException, *StoreError, TimeoutError, BrokenProgram) as error:
        message = f"the store could not be filled: {error}; look at `headrace status`, and begin again"
        raise EnvironmentProblem(message) from error
    aside = f", {filled.aside} set aside (`headrace dead`)" if filled.aside else ""
    say(f"{filled.records} records, {filled.keys} keys of {len(chosen)} groups{aside}")


def named(groups: Sequence[Group], names: Sequence[str]) -> list[Group]:
    """The versions that `group` or `group@version` name, all if there are no names.

    Raises:
        UsageProblem: one of them names none.
    """
    for name in names:
        if not any(name in (group.name, group.title) for group in groups):
            message = f"there is no group {name!r}; there are {', '.join(group.title for group in groups)}"
            raise UsageProblem(message)
    return [group for group in groups if not names or group.name in names or group.title in names]


def fill(bootstrap: str, redis_url: str, groups: Sequence[Group], *, seen: Callable[[int, int], None]) -> Filled:
    """Load all that the topics of these groups hold now; `seen` gets the offsets done and their total.

    Raises:
        KafkaException, StoreError, TimeoutError: Kafka or Redis does not answer. BrokenProgram: most records cannot be
            kept.
    """
    topics = [group.tile_topic for group in groups if group.families]
    topics += [group.sequence_topic for group in groups if group.sequences]
    client, records = connect(redis_url), 0
    loader = Loader(bootstrap=bootstrap, client=client, group=f"backfill-{uuid.uuid4().hex}")
    try:
        spans = bounds(bootstrap, *topics)
        total = sum(end - begin for begin, end in spans.values())
        loader.follow(groups)
        done, grew_s = 0, time.monotonic()
        while done < total:
            records += loader.load_batch(timeout_s=_WAIT_S)
            at, before = loader.positions(), done
            done = sum(min(max(at.get(place, begin), begin), end) - begin for place, (begin, end) in spans.items())
            grew_s = time.monotonic() if done > before else grew_s
            if time.monotonic() - grew_s > _STALLED_S:
                message = f"no record came for {_STALLED_S:g} s; {done} of {total} offsets were read"
                raise TimeoutError(message)
            seen(done, total)
    finally:
        loader.close()
    keys = sum(measure_usage(client, group).keys for group in groups)
    client.close()
    return Filled(records=records, keys=keys, aside=loader.quarantine.reasons.total())
