"""`headrace bench NAME`: run a benchmark of this checkout in its own process.

The benchmarks are not installed with the package: they start stacks and need the repository's files.
"""

import subprocess
import sys

from headrace.errors import EnvironmentProblem, UsageProblem
from headrace.layout import REPOSITORY

FOLDER = REPOSITORY / "benchmarks"
BENCHMARKS = {
    "throughput": "events per second through ingest, four groups and the loader, against two Python loops",
    "replay_next_to_live": "a log replayed from a time next to live traffic: equal values, and the p99 of reads",
    "import_history": "ten million events imported from Parquet and killed once, then random reads against the oracle",
    "faults": "a million events with kills and a lost store, then random reads compared with the oracle",
    "groups": "events per second by the number of feature groups",
    "release": "promotions and rollbacks under 200 reads per second",
    "reads": "reads of 1 to 500 entities with fifty features, against Feast with Redis",
    "deltas": "a version of 100,000 rows: bytes, packing, applying, and slates ranked meanwhile",
    "layout": "reads, bytes and writes of three layouts of tiles in Redis",
    "kills": "kill -9 of the learner at twenty random points; its parameters against those of an uninterrupted run",
    "rollback": "seconds until an older version answers, on a model of a million rows",
    "quality": "recorded logs predicted row by row by the product with its defaults, against simple baselines",
    "line": "KuaiRand's clicks through the running pipeline, against the same log in process",
    "rivals": "clicks against Vowpal Wabbit, River, LightGBM, films against ALS, session-kNN; samples per second",
    "table": "ten million ids in an embedding table's map, against a dict, with an endless stream of new ids",
    "smaller": "the ranker and its vectors in float16, 8 bits and ONNX: bytes, ms per slate, loss on KuaiRand",
    "widths": "rows that start narrow and grow as their id is seen again, against rows of one width: KuaiRand, bytes",
    "fusion": "what item vectors are worth, fused early, gated or late: new items on a simulated feed",
    "freshness_curve": "what a model loses by its age, by late labels and by lost versions",
    "click_age": "how old a click is when it changes an answer, on the worker that accepted it and on another one",
    "slates": "slates per CPU second and the knee of serving, a FastAPI service with FAISS, and a bare handler",
    "index": "recall and time of the index while items and model change, against exact, IVF and HNSW",
    "validate": "seconds that `headrace features validate` takes for fifty groups, against an empty Python program",
}


def run(name: str, arguments: tuple[str, ...]) -> int:
    """Run a benchmark with its own arguments and return its exit code.

    Raises:
        UsageProblem: no benchmark has this name.
        EnvironmentProblem: the package does not run from a checkout.
    """
    if name not in BENCHMARKS:
        known = "".join(f"\n  {each:<16} {what}" for each, what in BENCHMARKS.items())
        message = f"no benchmark is named {name!r}; the benchmarks are:{known}"
        raise UsageProblem(message)
    if not FOLDER.is_dir():
        message = (
            f"{FOLDER} is missing: benchmarks run from a checkout. Clone the repository and run `make bench` there."
        )
        raise EnvironmentProblem(message)
    return subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *arguments], cwd=REPOSITORY, check=False
    ).returncode
