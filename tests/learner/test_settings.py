"""The command line: every option takes effect, and all problems are reported at once."""

import pytest

from headrace.learner.__main__ import parse

LINE = ["--bootstrap", "broker:9092", "--artefacts", "folder"]


def test_the_defaults_are_the_reference():
    settings = parse(LINE, "k")
    assert (settings.loop.cadence_ms, settings.loop.snapshot_ms, settings.loop.batch) == (60_000, 600_000, 64)
    assert not settings.stop_at_end


def test_every_option_takes_effect():
    options = [
        "--model",
        "m",
        "--cadence-s",
        "10",
        "--snapshot-s",
        "30",
        "--wait-s",
        "20",
        "--batch",
        "64",
        "--seed",
        "5",
    ]
    settings = parse([*LINE, *options, "--arm", "b", "--stop-at-end"], "k")
    loop = settings.loop
    assert (loop.model, loop.cadence_ms, loop.snapshot_ms, loop.wait_ms) == ("m", 10_000, 30_000, 20_000)
    assert (loop.arm, loop.device) == ("b", "cpu")
    assert (loop.batch, loop.seed, settings.stop_at_end, settings.key) == (64, 5, True, b"k")


def test_vectors_are_declared_in_a_file(tmp_path, capsys):
    declaration = tmp_path / "fusion.json"
    declaration.write_text('{"manner": "early", "modalities": [{"name": "image", "width": 4}]}')
    assert parse(LINE, "k").config.modalities == ()
    assert [each.name for each in parse([*LINE, "--fusion", str(declaration)], "k").config.modalities] == ["image"]
    declaration.write_text('{"modalities": [{"name": "image", "width": 0}]}')
    with pytest.raises(SystemExit):
        parse([*LINE, "--fusion", str(declaration)], "k")
    assert "modalities[0].width" in capsys.readouterr().err


def test_all_problems_are_reported_at_once(capsys):
    with pytest.raises(SystemExit):
        parse([*LINE, "--cadence-s", "7", "--snapshot-s", "10", "--batch", "0", "--device", "tpu"], "")
    printed = capsys.readouterr().err
    for part in ("HEADRACE_MODEL_KEY", "--cadence-s is 7", "multiple", "--batch is 0", "device is 'tpu'"):
        assert part in printed
