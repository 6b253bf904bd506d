"""The report of a demo: its fields and its text."""

import re

import msgspec
import pytest

from headrace.simulator import report as reports
from headrace.simulator.click_rates import ClickRate
from headrace.simulator.probe import LiveVersion, version_delays


def an_arm(ctr: float, half: float = 0.002) -> ClickRate:
    return ClickRate(impressions=1000, clicks=int(1000 * ctr), ctr=ctr, ci95=(ctr - half, ctr + half))


def a_report(**changes: object) -> reports.Report:
    spread = reports.Percentiles(400.0, 800.0, 10)
    fields: dict[str, object] = {
        "seconds": 240.0,
        "events": 84_000,
        "events_per_s": 350.0,
        "freshness_ms": reports.Freshness(append_to_feature=spread, append_to_sample=spread, click_to_weights=spread),
        "judged": True,
        "probes_lost": 0,
        "deltas": reports.Deltas(published=24, applied=24, rejected=0),
        "arms": {"online": an_arm(0.10), "frozen": an_arm(0.08), "popular": an_arm(0.07)},
        "dead_letters": reports.DeadLetters(count=2, by_reason={"json": 2}),
        "duplicates_removed": 1600,
        "duplicates_sent": 1600,
        "held_back": 4000,
        "http": reports.Http(
            requests=9000,
            recommendations=7920,
            recommendations_per_s=33.0,
            knee_per_s=72.0,
            wanted_per_s=36.0,
            errors_5xx=0,
            refused=0,
            unanswered=0,
            p50_ms=8.0,
            p99_ms=20.0,
            levels={"L0": 7920},
        ),
        "peak_rss_mb": 4000.0,
        "poison": reports.Poison(sent=2, accounted=2, expected={"json": 2}),
        "world": reports.WorldFacts(
            seed=1,
            users=2400,
            items=8000,
            born=960,
            drift={"trend": 0.3, "tastes": 0.9},
            newborn_share={"online": 0.1},
            settings={"users": 2400},
        ),
        "warm_up": reports.WarmUpFacts(exposures=56_400, learnt=55_000, frozen_version="1.60", seconds=80.0),
    }
    return reports.Report(**(fields | changes))


def test_the_file_has_the_documented_fields() -> None:
    written = msgspec.json.decode(reports.encode(a_report()))
    assert {"seconds", "events", "events_per_s", "duplicates_removed", "peak_rss_mb"} <= written.keys()
    for stage in ("append_to_feature", "append_to_sample", "click_to_weights"):
        assert {"p50", "p99"} <= written["freshness_ms"][stage].keys()
    assert {"published", "applied", "rejected"} <= written["deltas"].keys()
    for arm in ("online", "frozen", "popular"):
        assert {"impressions", "clicks", "ctr", "ci95"} <= written["arms"][arm].keys()
        assert len(written["arms"][arm]["ci95"]) == 2
    assert {"count", "by_reason"} <= written["dead_letters"].keys()
    assert {"requests", "errors_5xx", "p50_ms", "p99_ms"} <= written["http"].keys()
    assert {"sent", "accounted"} <= written["poison"].keys()
    assert {"seed", "users", "items", "drift"} <= written["world"].keys()
    assert {"exposures", "seconds"} <= written["warm_up"].keys()
    assert msgspec.json.decode(reports.encode(a_report()), type=reports.Report) == a_report()


@pytest.mark.parametrize(
    ("rates", "sentence"),
    [
        ((0.10, 0.08, 0.07), "online is above frozen and popular (95 %)"),
        ((0.08, 0.08, 0.07), "online is above popular, not distinguishable from frozen (95 %)"),
        ((0.06, 0.08, 0.07), "online is below frozen and popular (95 %)"),
    ],
)
def test_it_states_which_arm_won(rates: tuple[float, float, float], sentence: str) -> None:
    arms = {name: an_arm(ctr) for name, ctr in zip(reports.ARMS, rates, strict=True)}
    assert reports.compare_arms(arms) == sentence


def test_a_run_fails_if_the_pipeline_fails_whichever_arm_wins() -> None:
    assert a_report().faults() == []
    assert a_report(arms={"online": an_arm(0.01), "frozen": an_arm(0.08)}).faults() == []
    assert len(a_report(deltas=reports.Deltas(published=3, applied=0, rejected=3)).faults()) == 1
    assert len(a_report(poison=reports.Poison(sent=2, accounted=1, expected={"json": 2})).faults()) == 1
    http = msgspec.structs.replace(a_report().http, errors_5xx=1)
    assert len(a_report(http=http).faults()) == 1


def test_the_delay_of_a_click_ends_with_the_first_version_that_learned_from_it() -> None:
    applied = [LiveVersion("1.1", 3, 1200), LiveVersion("1.2", 5, 2000), LiveVersion("1.3", 11, 3000)]
    assert version_delays([(2, 1000), (3, 1000), (9, 1500), (11, 2500)], applied) == [200.0, 1000.0, 1500.0]


def test_refused_slates_are_not_counted_among_the_other_answers_5xx() -> None:
    (load,) = [line for line in reports.format_report(a_report()) if line.startswith("load ")]
    assert re.search(r", \d+ refused with 503, \d+ other answers 5xx;", load)


def test_an_arm_without_impressions_is_reported_as_such() -> None:
    arms = {"online": ClickRate(impressions=0, clicks=0, ctr=None, ci95=None), "frozen": an_arm(0.1)}
    lines = reports.format_report(a_report(arms=arms))
    assert any("no impressions" in line for line in lines)
    assert lines[-1] == "no comparison: online and another arm need impressions"
