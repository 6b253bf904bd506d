"""Arms, and the settings that declare them."""

import json
from pathlib import Path

import pytest

from headrace.serving.http.keys import key_of_token
from headrace.serving.settings import parse, parse_feeder, read_config
from headrace.serving.state.experiment import Arm, Experiment, ExperimentError, Learning, checked

ARMS = [
    Arm(name="online", share=0.8, policy="model:live"),
    Arm(name="frozen", share=0.1, policy="model:frozen"),
    Arm(name="popular", share=0.1, policy="popular"),
]
REQUIRED = ["--bootstrap", "k:9092", "--redis", "redis://r:6379", "--artefacts", "a", "--shared", "s", "--spool", "p"]


def test_shares_are_kept_and_a_user_stays() -> None:
    experiment = Experiment(arms=ARMS)
    arms = [experiment.arm_of(f"u{n}").name for n in range(20_000)]
    assert arms == [experiment.arm_of(f"u{n}").name for n in range(20_000)]
    for arm in ARMS:
        assert arms.count(arm.name) / 20_000 == pytest.approx(arm.share, abs=0.01)


def test_another_salt_deals_anew() -> None:
    one, two = Experiment(arms=ARMS), Experiment(arms=ARMS, salt="other")
    moved = [one.arm_of(f"u{n}") != two.arm_of(f"u{n}") for n in range(2000)]
    assert sum(moved) / 2000 == pytest.approx(1 - 0.66, abs=0.04)  # 1 - (0.64 + 0.01 + 0.01)


def test_every_problem_is_named() -> None:
    arms = [Arm(name="a", share=1.5, policy="model:"), Arm(name="a", share=0.1, policy="best")]
    with pytest.raises(ExperimentError) as raised:
        checked(Experiment(arms=arms))
    for part in ("arms[].name", "arms[0].share", "arms[0].policy", "arms[1].policy", "add up to 1.6"):
        assert part in str(raised.value)


def test_the_command_line_names_every_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "serving.json"
    config.write_text('{"experiment": {"arms": [{"name": "a", "share": 1, "policy": "x"}]}}')
    with pytest.raises(SystemExit):
        parse([*REQUIRED, "--config", str(config), "--workers", "0"], {"HEADRACE_TOKEN": "short"})
    error = capsys.readouterr().err
    for part in ("--workers is 0", "HEADRACE_TOKEN has 5 characters", "arms[0].policy"):
        assert part in error
    with pytest.raises(SystemExit):
        parse_feeder([*REQUIRED, "--config", str(config)], {})
    error = capsys.readouterr().err
    for part in ("HEADRACE_MODEL_KEY is not set", "arms[0].policy"):
        assert part in error


@pytest.mark.parametrize("origin", ["shop.example", "https://shop.example/", "https://*.example", ""])
def test_an_origin_is_scheme_host_and_port(tmp_path: Path, origin: str, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "serving.json"
    config.write_text(json.dumps({"origins": ["http://localhost:3000", origin]}))
    with pytest.raises(SystemExit):
        parse([*REQUIRED, "--config", str(config)], {"HEADRACE_TOKEN": "a-token-of-16-chars"})
    assert f"origins: {origin!r} is not an origin" in capsys.readouterr().err


def test_a_good_command_line(tmp_path: Path) -> None:
    config = tmp_path / "serving.json"
    config.write_text('{"experiment": {"arms": [{"name": "p", "share": 1.0, "policy": "popular"}]}}')
    secrets = {"HEADRACE_TOKEN": "a-token-of-16-chars"}
    fusion = tmp_path / "fusion.json"
    fusion.write_text('{"modalities": [{"name": "image", "width": 4}]}')
    parsed = parse([*REQUIRED, "--config", str(config), "--fusion", str(fusion)], secrets)
    assert [each.name for each in parsed.ranker.modalities] == ["image"]
    assert parsed.fixed_keys == (key_of_token("a-token-of-16-chars"),)
    feeder = parse_feeder([*REQUIRED, "--config", str(config)], {"HEADRACE_MODEL_KEY": "key"})
    assert (feeder.key, feeder.config) == (b"key", parsed.config)
    assert parsed.config.experiment.arm_of("anyone").policy == "popular"


def test_an_arm_may_have_a_learner_of_its_own_model(tmp_path: Path) -> None:
    config = tmp_path / "serving.json"
    learner = '{"samples": "own", "half_life_s": 600}'
    arm = f'{{"name": "p", "share": 1.0, "policy": "model:swift", "learner": {learner}}}'
    config.write_text(f'{{"experiment": {{"arms": [{arm}]}}}}')
    own = read_config(config).experiment.own
    assert {name: arm.learner for name, arm in own.items()} == {"swift": Learning(samples="own", half_life_s=600)}


def test_every_problem_of_a_learner_is_named() -> None:
    wrong = Learning(samples="all", half_life_s=0, batch=0)
    policies = ["model:live", "popular", "model:a/b", "model:twice", "model:twice"]
    arms = [Arm(name=f"a{n}", share=0.2, policy=policy, learner=wrong) for n, policy in enumerate(policies)]
    with pytest.raises(ExperimentError) as raised:
        checked(Experiment(arms=arms))
    for n in range(3):
        assert f"arms[{n}].learner is given: write 'model:NAME'" in str(raised.value)
    for part in ("2 arms give 'twice' a learner", "arms[3].learner.half_life_s is 0", "arms[3].learner.batch is 0"):
        assert part in str(raised.value)


def test_an_invalid_device_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse([*REQUIRED, "--device", "tpu"], {"HEADRACE_TOKEN": "a-token-of-16-chars"})
    assert "--device: device is 'tpu'; say cpu, or cuda" in capsys.readouterr().err
