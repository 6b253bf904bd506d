"""An error of a command is one message and an exit code, never a traceback."""

import httpx
import pytest

from headrace.run_command import run
from headrace.schemas.model.model_file import ModelFileError
from headrace.stack.flink_rest import FlinkRest


def raising(error: Exception):
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:1"])
def test_a_flink_that_does_not_answer(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(lambda: FlinkRest(url).jobs()) == 2
    assert "`headrace connect` tries both" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ModuleNotFoundError("No module named 'torch'", name="torch"), 2, "pip install 'headrace[learner]'"),
        (ModuleNotFoundError("No module named 'jinja2'", name="jinja2"), 2, "pip install 'headrace[report]'"),
        (ModelFileError("model.toml: it is not TOML"), 1, "it is not TOML"),
        (httpx.InvalidURL("no"), 2, "does not answer"),
    ],
)
def test_known_errors(error: Exception, code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(raising(error)) == code
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_fault_of_the_program_is_raised() -> None:
    with pytest.raises(ModuleNotFoundError):
        run(raising(ModuleNotFoundError("No module named 'headrace.gone'", name="headrace.gone")))
