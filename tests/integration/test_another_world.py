"""A project of support articles, whose stream has its own names: it serves, learns, evaluates, and changes."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from headrace.client import Client, ItemRecord, RecommendationAnswer, RecommendationRequest
from headrace.layout import PROJECT_VARIABLE, STATE_VARIABLE, Endpoints, Layout
from headrace.schemas.events import TICK
from headrace.schemas.samples import Sample, decode_sample
from headrace.schemas.times import now_ms
from headrace.schemas.topics import EVENTS_DEAD, SAMPLES
from headrace.stack import stack
from headrace.store.kafka.log import read_values
from headrace.wait import wait_until
from tests.support import article_project
from tests.support.article_project import OPENED, SOLVED, event
from tests.support.line import TEST_PACE

pytestmark = [pytest.mark.stack, pytest.mark.timeout(580)]
ARTICLES = [ItemRecord(item_id=f"a{number}", category=("setup", "billing")[number % 2]) for number in range(12)]
READERS = [f"r{number}" for number in range(4)]
IDS = count()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return article_project.write(tmp_path_factory.mktemp("Müllers desk"))


@pytest.fixture(scope="module")
def endpoints(project: Path) -> Iterator[Endpoints]:
    layout = Layout(project / ".headrace", project=project)
    try:
        yield stack.up(layout, say=print, pace=TEST_PACE, usual_ports=False)
    finally:
        stack.stop(layout)
    shutil.rmtree(layout.home, ignore_errors=True)


def headrace(project: Path, *arguments: str) -> str:
    """What a verb prints when it is run in the project."""
    variables = {name: text for name, text in os.environ.items() if name not in (PROJECT_VARIABLE, STATE_VARIABLE)}
    command = [sys.executable, "-c", "from headrace.cli import main; main()", *arguments]
    variables["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_features_validate_and_pass_their_tests(project: Path) -> None:
    assert "1 sources, 3 groups: no problems" in headrace(project, "features", "validate")
    assert " 0 failed" in headrace(project, "features", "test")


def test_it_serves_learns_and_ranks(endpoints: Endpoints, project: Path) -> None:
    with Client(endpoints.api_url, endpoints.token, timeout_s=30) as api:
        assert api.upsert_items(ARTICLES).accepted == len(ARTICLES)
        wait(lambda: len(slate(api, "r0").items) == 10, "a slate of articles", project)
        assert api.check_ready().missing == {}
        assert not [reason for reason in slate(api, "r0").degraded.reasons if "feature group" in reason]
        assert refused(api, article_id="", item_id="a1") == {"unknown"}
        send(api, event(next(IDS), now_ms(), "r0", "a1"))
        wait(lambda: "a1" not in ids(slate(api, "r0")), "a slate without the opened article", project)
        wait(lambda: opened(api, "a1") == 1, "the feature of the opened article", project)
        labelled = give_feedback(api)
        wait(lambda: positives(endpoints) >= labelled, "the samples of the feedback", project)
        wait(lambda: slate(api, "r0").versions.model != "", "a slate that a model ranks", project)
        learnt_from = max(sample.known_at for sample in samples(endpoints) if sample.labels.get(OPENED))
        wait(lambda: api.list_models().history[0].to_ms >= learnt_from, "a version that learned it", project)
        ranked = slate(api, "r1")
        assert (ranked.degraded.level, ranked.degraded.reasons) == (0, [])
    assert {sample.user_id for sample in samples(endpoints)} <= {*READERS}
    dead = b"".join(read_values(endpoints.bootstrap, EVENTS_DEAD.name))
    assert TICK.encode() not in dead, dead[:500]


def test_it_evaluates_a_log(project: Path) -> None:
    rows = [f"{reader},a{(number + index) % 12},{1_700_000_000 + 60 * number},{(number + index) % 2}"
            for number in range(60) for index, reader in enumerate(READERS)]  # fmt: skip
    log = project / "log.csv"
    log.write_text("\n".join(["reader,article,at,opened", *rows]) + "\n")
    columns = "user=reader,item=article,time=at,label=opened"
    printed = headrace(project, "evaluate", str(log), "--map", columns, "--features", str(project / "features"))
    assert re.search(r"headrace +\d\.\d+ ± ", printed), printed


def test_it_goes_on_with_another_input(endpoints: Endpoints, project: Path) -> None:
    del endpoints  # only the stack that it stands for
    layout = Layout(project / ".headrace", project=project)
    model_file = project / "features" / "model.toml"
    heat = '"article_reads.heat" = {shape = "log", scale = 0.3}'
    model_file.write_text(model_file.read_text().replace("[cross]", f"{heat}\n[cross]"))
    stack.stop(layout)
    again = stack.up(layout, say=print, pace=TEST_PACE, usual_ports=False)
    with Client(again.api_url, again.token, timeout_s=30) as api:
        wait(lambda: slate(api, "r1").versions.model.startswith("2."), "a slate that a model ranks", project)
        begun = api.list_models().history[0]
        answer = slate(api, "r1")
        assert (answer.degraded.level, answer.degraded.reasons) == (0, [])
        labelled = give_feedback(api)
        wait(lambda: positives(again) >= labelled, "the samples of the feedback", project)
        learnt_from = max(sample.known_at for sample in samples(again) if sample.labels.get(OPENED))

        def has_learned() -> bool:
            slate(api, "r2")  # its samples move the learner's clock past the feedback
            return api.list_models().history[0].to_ms >= learnt_from

        wait(has_learned, "a version that learned it", project)
        assert begun.version.startswith("2."), begun


def slate(api: Client, reader: str) -> RecommendationAnswer:
    return api.recommend(RecommendationRequest(user_id=reader, session_id="v1", count=10))


def ids(answer: RecommendationAnswer) -> list[str]:
    return [item.id for item in answer.items]


def send(api: Client, *events: dict[str, object]) -> None:
    answer = api.send_events(events)
    assert (answer.accepted, answer.rejected) == (len(events), [])


def refused(api: Client, **more: object) -> set[str]:
    """The codes of an event with other columns; one with an empty text lacks the column."""
    written = event(next(IDS), now_ms(), "r0", "a1", **more)
    given = {name: cell for name, cell in written.items() if cell != ""}
    return {each.code for each in api.send_events([given]).rejected}


def opened(api: Client, article: str) -> float | None:
    values = {each.name: each.value for each in api.read_features("article_reads", article).features}
    found = values["opened_24h"]
    return found if isinstance(found, float) else None


def give_feedback(api: Client) -> set[tuple[str, int]]:
    """Each reader opens the first and solves with the third article of a slate; returns what was opened."""
    labelled: set[tuple[str, int]] = set()
    for reader in READERS:
        answer, now = slate(api, reader), now_ms()
        of_slate = {"slate_id": answer.request_id, "visit_id": "v1"}
        kinds = [(OPENED, 0), (OPENED, 2), (SOLVED, 2)]
        send(api, *(event(next(IDS), now, reader, answer.items[slot].id, kind=kind, slot=slot, **of_slate)
                    for kind, slot in kinds))  # fmt: skip
        labelled |= {(answer.request_id, slot) for kind, slot in kinds if kind == OPENED}
    return labelled


def samples(endpoints: Endpoints) -> list[Sample]:
    return [each for each in map(decode_sample, read_values(endpoints.bootstrap, SAMPLES.name)) if each is not None]


def positives(endpoints: Endpoints) -> set[tuple[str, int]]:
    return {(sample.request_id, sample.position) for sample in samples(endpoints) if sample.labels.get(OPENED)}


def wait(condition, what: str, project: Path) -> None:
    wait_until(condition, what=what, deadline_s=120, hint=f"Look into {project / '.headrace' / 'logs'}.")
