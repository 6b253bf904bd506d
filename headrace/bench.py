"""`headrace bench NAME`: run a benchmark of this checkout in a process of its own.

The benchmarks are not installed with the package: they start stacks and want the repository around them.
"""

import subprocess
import sys

from headrace.errors import EnvironmentProblem, UsageProblem
from headrace.layout import REPOSITORY

FOLDER = REPOSITORY / "benchmarks"
BENCHMARKS = {
    "throughput": "events a second through ingest, four groups and the loader, beside two Python loops",
    "faults": "a million events with kills and a lost store among them, then random reads against the oracle",
    "groups": "events a second by the number of feature groups",
    "release": "promotions and rollbacks under 200 reads a second",
    "reads": "reads of 1 to 500 entities with fifty features, beside Feast with Redis",
    "deltas": "a version of 100,000 rows: bytes, packing, applying, and slates ranked beside it",
    "layout": "reads, bytes and writes of three ways for tiles to lie in Redis",
    "kills": "kill -9 of the learner at twenty random points, its parameters against the run that was never stopped",
    "rollback": "seconds until an older version answers, on a model of a million rows",
    "quality": "recorded logs predicted row by row by the product with its defaults, beside simple baselines",
    "line": "KuaiRand's clicks through the running line, beside the same log in process",
    "rivals": "KuaiRand's clicks by the product, Vowpal Wabbit and River in one run, and samples a second",
    "table": "ten million ids in an embedding table's map, beside a dict, and new ids that never stop coming",
    "smaller": "the ranker and its vectors in float16, 8 bits and ONNX: bytes, ms a slate, loss on KuaiRand",
    "widths": "rows that begin narrow and grow with their sightings, beside rows of one width: KuaiRand, bytes",
    "fusion": "what vectors of items are worth, joined early, gated or late: new items on a simulated feed",
    "freshness_curve": "what a model loses by its age, by late labels and by lost versions",
    "validate": "seconds that `headrace features validate` takes for fifty groups, beside a Python that does nothing",
}


def run(name: str, arguments: tuple[str, ...]) -> int:
    """Run a benchmark with its own arguments; returns its exit code.

    Raises:
        UsageProblem: there is no benchmark of this name.
        EnvironmentProblem: the package runs outside a checkout.
    """
    if name not in BENCHMARKS:
        known = "; ".join(f"{each}: {what}" for each, what in BENCHMARKS.items())
        message = f"no benchmark is named {name!r}; there are {known}"
        raise UsageProblem(message)
    if not FOLDER.is_dir():
        message = (
            f"{FOLDER} is absent: benchmarks run from a checkout. Clone the repository and run `make bench` there."
        )
        raise EnvironmentProblem(message)
    return subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *arguments], cwd=REPOSITORY, check=False
    ).returncode
