"""Triggers of a training: new samples, events and drift since the last training."""

import httpx
from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families

from headrace.errors import EnvironmentProblem
from headrace.layout import Endpoints
from headrace.log.sample_range import samples_since
from headrace.log.trainings import training_records
from headrace.schemas.control import SERVING, Control, control_of
from headrace.schemas.defaults import LIVE_MODEL, PSI_SHIFTED
from headrace.schemas.events import TICK
from headrace.schemas.topics import CONTROL_TOPIC, EVENTS
from headrace.schemas.versions.version_policy import HALT, MODEL, ROLLBACK
from headrace.store.kafka.log import offsets_at, read_to_end, read_values

_TIMEOUT_S = 10.0


class Triggers(Struct, frozen=True, kw_only=True):
    """Counts since the last training, any of which calls for a new one; 0 disables a trigger.

    With all of them disabled a training is always due.
    """

    samples: int = 0
    events: int = 0
    drifts: int = 0

    def unmet(self, endpoints: Endpoints) -> str:
        """Why no training is due; empty if one is.

        Raises:
            EnvironmentProblem, KafkaException: serving or the broker does not answer.
        """
        decisions = [each for each in map(control_of, read_values(endpoints.bootstrap, CONTROL_TOPIC.name)) if each]
        unmet: list[str] = []
        for option, threshold, noun, count in (
            ("--if-new", self.samples, "samples", count_samples),
            ("--if-events", self.events, "events", count_events),
            ("--if-drift", self.drifts, "drifts", count_drifts),
        ):
            if not threshold:
                continue
            found = count(endpoints, decisions)
            if found >= threshold:
                return ""
            unmet.append(f"{found} {noun} since the last training, {option} is {threshold}")
        return "; ".join(unmet)


def count_samples(endpoints: Endpoints, decisions: list[Control]) -> int:
    """Count the samples beyond the last offset of any training."""
    until = max((int(each.arguments.get("until", "0")) for each in training_records(decisions)), default=0)
    return samples_since(endpoints.bootstrap, until)


def count_events(endpoints: Endpoints, decisions: list[Control]) -> int:
    """Count the events, without ticks, after the last time that any training covers."""
    until_ms = max((int(each.arguments.get("until_ms", "0")) for each in training_records(decisions)), default=0)
    begins = offsets_at(endpoints.bootstrap, EVENTS.name, until_ms)
    # Not decoded: ingest has not checked these records yet, so any bytes may be among them, and a threshold needs no
    # exact count. An event that holds this string in another field is not counted.
    tick = f'"{TICK}"'.encode()
    records = read_to_end(endpoints.bootstrap, EVENTS.name, begins)
    return sum(tick not in (record.value() or b"") for record in records)


def count_drifts(endpoints: Endpoints, decisions: list[Control]) -> int:
    """Count automatic rollbacks and halts since the last training, and features that are shifted now.

    Raises:
        EnvironmentProblem: serving does not answer.
    """
    return count_rollbacks(decisions) + count_shifted(_metrics(endpoints))


def count_rollbacks(decisions: list[Control]) -> int:
    """Count how often live's learner or serving has rolled back by itself since the last training."""
    since_ms = max((each.at for each in training_records(decisions)), default=0)
    of_live = (each for each in decisions if each.name == f"{MODEL}{LIVE_MODEL}" and each.at > since_ms)
    back = (each for each in of_live if each.action == HALT or (each.action == ROLLBACK and each.who == SERVING))
    # Several readers may have written the same decision.
    return len({(each.name, each.action, frozenset(each.arguments.items())) for each in back})


def count_shifted(metrics: str) -> int:
    """Count the features that serving's metrics report as shifted."""
    families = text_string_to_metric_families(metrics)
    samples = (sample for family in families for sample in family.samples if sample.name == "headrace_feature_psi")
    return sum(sample.value > PSI_SHIFTED for sample in samples)


def _metrics(endpoints: Endpoints) -> str:
    try:
        return httpx.get(f"{endpoints.api_url}/metrics", timeout=_TIMEOUT_S).raise_for_status().text
    except httpx.HTTPError as error:
        message = (
            f"serving does not report its drift at {endpoints.api_url}/metrics ({error}), which --if-drift needs; "
            "look at serving.log, or `headrace status`"
        )
        raise EnvironmentProblem(message) from error
