"""Models where `headrace up` started nothing: trained there, challenging live by a learner of its own, promoted."""

from collections.abc import Callable, Iterator

import pytest
from msgspec import structs

from headrace.client import Client, ItemRecord, RecommendationRequest
from headrace.connections.kafka_clients import producer
from headrace.schemas.defaults import WAIT_MS
from headrace.schemas.samples import Sample
from headrace.schemas.times import now_ms
from headrace.schemas.versions.version_policy import VersionId, parse_version
from headrace.simulator.sample_stream import stream
from headrace.wait import wait_until
from tests.support.staging import TOKEN, Staging, running

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]
AGAIN, OF_ARM = "again", "of-arm"
SLOTS, EVERY_MS, ITEMS = 6_000, 400, 20  # forty minutes
FIRST = SLOTS // 2
MINUTE_MS = 60_000


@pytest.fixture(scope="module")
def staging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staging]:
    with running(tmp_path_factory.mktemp("project")) as made:
        made.wait_until_connected(2)  # Kafka and Redis: models need no Flink
        made.succeed("topics", "apply")
        made.succeed("features", "seed")
        made.start_serving()
        with Client(made.api_url, TOKEN, timeout_s=30) as api:
            api.upsert_items(ItemRecord(item_id=f"i{number}", category=f"c{number % 5}") for number in range(ITEMS))
        made.start_learner("learner")
        yield made


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    """Samples until now, in the order of the log; a slot without a click closes after the default wait.

    They begin with a minute, so that versions are cut between the same samples in every run, and end with the last
    slate: after it only negatives would come, which serving might find out of bounds.
    """
    begin_ms = now_ms() // MINUTE_MS * MINUTE_MS - SLOTS * EVERY_MS - WAIT_MS
    rows = stream(SLOTS, seed=6, every_ms=EVERY_MS, begin_ms=begin_ms)
    closed = [row if row.click else structs.replace(row, known_at=row.served_at + WAIT_MS) for row in rows]
    known = [row for row in closed if row.known_at <= rows[-1].served_at]
    return sorted(known, key=lambda row: row.known_at)


def write(staging: Staging, samples: list[Sample]) -> None:
    """Append samples, as the job does, with the credentials of the environment."""
    variables = staging.variables()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        client = producer(variables["HEADRACE_KAFKA_BOOTSTRAP_SERVERS"])
    for sample in samples:
        client.produce("shop.samples", sample.payload(), sample.request_id)
    assert client.flush(30) == 0


def served(staging: Staging, alias: str) -> VersionId:
    """The version that serving has under an alias, as `models list` prints it; (0, 0) for none."""
    rows = [line.split() for line in staging.succeed("models", "list").splitlines()]
    return next((parse_version(row[2]) for row in rows if row[:1] == [alias]), (0, 0))


def newest(staging: Staging, model: str) -> VersionId:
    """The newest version of a model on the log, as `models history` prints it; (0, 0) for none."""
    rows = [line.split() for line in staging.succeed("models", "history", "--model", model).splitlines()]
    return next((parse_version(row[0]) for row in rows if row and row[0][:1].isdecimal()), (0, 0))


def wait(staging: Staging, condition: Callable[[], bool], what: str) -> None:
    wait_until(condition, what=what, deadline_s=90, hint=staging.hint)


def test_a_training_of_the_log_finishes(staging: Staging, samples: list[Sample]) -> None:
    write(staging, samples[:FIRST])
    wait(staging, lambda: served(staging, "live") > (0, 0), "a live version")
    trained = staging.succeed("train", "--model", AGAIN)
    assert f"{FIRST} samples" in trained
    assert newest(staging, AGAIN) > (0, 0)
    assert "trained by replay" in staging.succeed("models", "history", "--model", AGAIN)
    assert f"the name {AGAIN} is taken" in staging.headrace("train", "--model", AGAIN).stderr


def test_its_learner_is_started_like_lives_and_serving_scores_with_it(staging: Staging, samples: list[Sample]) -> None:
    with Client(staging.api_url, TOKEN, timeout_s=30) as api:
        before = newest(staging, AGAIN)
        assert f"{AGAIN} {before[0]}.{before[1]} is the challenger" in staging.succeed(
            "models", "challenge", AGAIN, "--why", "a test"
        )
        staging.start_learner("learner-again", "--model", AGAIN)
        staging.start_learner("learner-of-arm", "--model", OF_ARM, "--arm", "a")
        write(staging, samples[FIRST:])
        wait(
            staging, lambda: served(staging, "challenger") > before, "a version of the challenger's learner in serving"
        )
        wait(staging, lambda: newest(staging, OF_ARM) > (0, 0), "a version of the arm's model")
        api.recommend(RecommendationRequest(user_id="u1", count=10))
    assert f"{AGAIN}: no closed slate yet" in staging.succeed("models", "list")
    wait(staging, lambda: f'"model": "{AGAIN}"' in staging.succeed("tail", "shop.shadows"), "the slate in the shadow")


def test_it_is_promoted_and_rolled_back(staging: Staging) -> None:
    before = served(staging, "live")
    refused = staging.headrace("models", "promote", AGAIN, "--why", "a test")
    assert refused.returncode == 1
    assert f"{AGAIN} was scored in live's shadow on 0 closed slates" in refused.stderr
    epoch = before[0] + 1
    said = staging.succeed("models", "promote", AGAIN, "--why", "a test", "--anyway")
    assert f"epoch {epoch} begins with {AGAIN}" in said
    wait(staging, lambda: served(staging, "live") >= (epoch, 1), "the promoted model as live")
    back = staging.succeed("models", "rollback", "--to", f"{before[0]}.{before[1]}", "--why", "a test")
    assert f"learning continues from it in epoch {epoch + 1}" in back
    assert "promote" in (decisions := staging.succeed("models", "history"))
    assert "rollback" in decisions
    assert "there is no challenger now" in staging.succeed("models", "challenge", "--why", "a test")


def test_no_secret_is_seen_in_processes_or_logs(staging: Staging) -> None:
    assert (staging.folder / ".headrace" / "environments" / "staging" / "logs" / "train.log").exists()
    assert staging.secrets_in_processes_and_logs() == []
