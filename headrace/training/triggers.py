"""What may call for a training: samples, events and drift since the last one."""

import httpx
from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families

from headrace.errors import EnvironmentProblem
from headrace.layout import Endpoints
from headrace.log.sample_range import samples_since
from schemas.control import Control, control_of
from schemas.defaults import LIVE_MODEL, PSI_SHIFTED
from schemas.events import TICK
from schemas.topics import CONTROL_TOPIC, EVENTS
from schemas.version_policy import HALT, MODEL, ROLLBACK, TRAINED
from store.log import offsets_at, read_to_end, read_values

_SERVING = "serving"
_ASK_S = 10.0


class Triggers(Struct, frozen=True, kw_only=True):
    """So many since the last training call for one, any of them; 0 asks for none. Without any a training is due."""

    samples: int = 0
    events: int = 0
    drifts: int = 0

    def lacking(self, endpoints: Endpoints) -> str:
        """Why no training is due; empty where one is.

        Raises:
            EnvironmentProblem, KafkaException: what would tell is away.
        """
        decisions = [each for each in map(control_of, read_values(endpoints.bootstrap, CONTROL_TOPIC.name)) if each]
        lacks: list[str] = []
        for option, least, what, count in (
            ("--if-new", self.samples, "samples", samples),
            ("--if-events", self.events, "events", events),
            ("--if-drift", self.drifts, "drifts", drifts),
        ):
            found = count(endpoints, decisions) if least else 0
            if least and found >= least:
                return ""
            lacks += [f"{found} {what} since the last training, {option} is {least}"] if least else []
        return "; ".join(lacks)


def trainings(decisions: list[Control]) -> list[Control]:
    """The records of what was trained, in the topic's order."""
    return [each for each in decisions if each.action == TRAINED]


def samples(endpoints: Endpoints, decisions: list[Control]) -> int:
    """Samples beyond the offset up to which some training has come."""
    until = max((int(each.arguments.get("until", "0")) for each in trainings(decisions)), default=0)
    return samples_since(endpoints.bootstrap, until)


def events(endpoints: Endpoints, decisions: list[Control]) -> int:
    """Events that came after the latest time that some training has come to; ticks are none."""
    until_ms = max((int(each.arguments.get("until_ms", "0")) for each in trainings(decisions)), default=0)
    begins = offsets_at(endpoints.bootstrap, EVENTS.name, until_ms)
    tick = f'"{TICK}"'.encode()
    records = read_to_end(endpoints.bootstrap, EVENTS.name, begins)
    return sum(tick not in (record.value() or b"") for record in records)


def drifts(endpoints: Endpoints, decisions: list[Control]) -> int:
    """Halts of live's learner and versions out of serving's bounds since, and features that stand shifted now.

    Raises:
        EnvironmentProblem: serving does not answer.
    """
    return gone_back(decisions) + shifted(_metrics(endpoints))


def gone_back(decisions: list[Control]) -> int:
    """How often live's learner or serving, by themselves, have gone back since the last training."""
    since_ms = max((each.at for each in trainings(decisions)), default=0)
    of_live = (each for each in decisions if each.name == f"{MODEL}{LIVE_MODEL}" and each.at > since_ms)
    back = (each for each in of_live if each.action == HALT or (each.action == ROLLBACK and each.who == _SERVING))
    # Several readers may have written the same one.
    return len({(each.name, each.action, frozenset(each.arguments.items())) for each in back})


def shifted(metrics: str) -> int:
    """How many features the metrics of serving say have moved."""
    families = text_string_to_metric_families(metrics)
    told = (sample for family in families for sample in family.samples if sample.name == "headrace_feature_psi")
    return sum(sample.value > PSI_SHIFTED for sample in told)


def _metrics(endpoints: Endpoints) -> str:
    try:
        return httpx.get(f"{endpoints.api_url}/metrics", timeout=_ASK_S).raise_for_status().text
    except httpx.HTTPError as error:
        message = (
            f"serving does not tell its drift at {endpoints.api_url}/metrics ({error}), which --if-drift asks for; "
            "look at serving.log, or `headrace status`"
        )
        raise EnvironmentProblem(message) from error
