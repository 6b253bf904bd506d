"""`headrace bench` lists its benchmarks, and every one of them exists."""

import pytest

from headrace.bench import BENCHMARKS, FOLDER, run
from headrace.errors import UsageProblem


def test_every_benchmark_exists() -> None:
    assert all((FOLDER / f"{name}.py").is_file() for name in BENCHMARKS)


def test_an_unknown_name_lists_all_benchmarks() -> None:
    with pytest.raises(UsageProblem, match="throughput"):
        run("thruput", ())


def test_arguments_reach_the_benchmark() -> None:
    assert run("throughput", ("--events", "many")) == 2
