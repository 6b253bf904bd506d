"""Flink's REST interface: jobs, their tasks, counters and checkpoints."""

from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote

import httpx
from msgspec import Struct

LIVE_STATES = frozenset({"RUNNING", "CREATED", "INITIALIZING", "RESTARTING", "FAILING", "RECONCILING"})


class Task(Struct, frozen=True, kw_only=True):
    """One task of a job: Flink's description, the ids of its input tasks, its bytes in the newest checkpoint."""

    text: str
    inputs: tuple[str, ...]
    state_bytes: int


class JobStatus(Struct, frozen=True):
    """A job's state, when it entered it (seconds since 1970), and how often it was restarted."""

    state: str
    since_s: float
    restarts: int


class Savepoint(Struct, frozen=True):
    """Where a savepoint is, as a URI, or why there is none."""

    location: str
    failure: str


class FlinkRest:
    """Client of Flink's REST interface."""

    def __init__(self, url: str) -> None:
        self._url = url

    def slots(self) -> int:
        """Registered task slots; 0 while there is no TaskManager."""
        return self._get("/overview")["slots-total"]

    def jobs(self) -> dict[str, tuple[str, str]]:
        """Name to (job id, state) of every job that has not ended; of two with one name, the newer."""
        live = [job for job in self._get("/jobs/overview")["jobs"] if job["state"] in LIVE_STATES]
        return {job["name"]: (job["jid"], job["state"]) for job in sorted(live, key=lambda job: job["start-time"])}

    def job_statuses(self) -> Iterator[tuple[str, JobStatus]]:
        """(name, status) of every job that has not ended."""
        for name, (job_id, state) in self.jobs().items():
            metrics = self._get(f"/jobs/{job_id}/metrics?get=numRestarts")
            restarts = round(float(metrics[0]["value"])) if metrics else 0
            entered_ms = self._get(f"/jobs/{job_id}")["timestamps"]
            yield name, JobStatus(state, entered_ms.get(state, 0) / 1000, restarts)

    def running_tasks(self, job_id: str) -> tuple[int, int]:
        """(running tasks, all tasks) of a job: a job may be RUNNING while its tasks still deploy."""
        counts = self._get(f"/jobs/{job_id}")["status-counts"]
        return counts["RUNNING"] + counts["FINISHED"], sum(counts.values())

    def parallelism(self, name: str) -> int:
        """The most subtasks that a task of a job has."""
        return max(vertex["parallelism"] for vertex in self._get(f"/jobs/{self.jobs()[name][0]}")["vertices"])

    def is_running(self, name: str) -> bool:
        """Whether the job of this name runs with all its tasks."""
        job = self.jobs().get(name)
        if job is None or job[1] != "RUNNING":
            return False
        running, total = self.running_tasks(job[0])
        return running == total > 0

    def tasks(self, name: str) -> dict[str, Task]:
        """Tasks of a job by id, as of its newest checkpoint; empty before the first."""
        job = self.jobs().get(name)
        newest = self._get(f"/jobs/{job[0]}/checkpoints")["latest"]["completed"] if job else None
        if job is None or newest is None:
            return {}
        sizes = self._get(f"/jobs/{job[0]}/checkpoints/details/{newest['id']}")["tasks"]
        return {
            node["id"]: Task(
                text=node["description"],
                inputs=tuple(each["id"] for each in node.get("inputs", ())),
                state_bytes=sizes[node["id"]]["state_size"],
            )
            for node in self._get(f"/jobs/{job[0]}/plan")["plan"]["nodes"]
        }

    def counters(self, name: str, counters: Iterable[str]) -> dict[str, int]:
        """Values of a job's own counters since it last started; empty while it does not run."""
        job, totals = self.jobs().get(name), dict[str, int]()
        if job is None:
            return totals
        for vertex in self._get(f"/jobs/{job[0]}")["vertices"]:
            path = f"/jobs/{job[0]}/vertices/{vertex['id']}/subtasks/metrics"
            known = [each["id"] for each in self._get(path)]
            for counter in counters:
                ids = [each for each in known if each.rpartition(".")[2] == counter]
                found = self._get(f"{path}?get={quote(','.join(ids))}&agg=sum") if ids else ()
                totals[counter] = totals.get(counter, 0) + round(sum(each["sum"] for each in found))
        return totals

    def stop(self, job_id: str, folder: str | None) -> str:
        """Begin to stop a job with a savepoint in a folder, a URI; None leaves it to the cluster. Returns the request.

        No source reads on after the savepoint, and sinks commit what is before it, so nothing is lost or done twice.
        """
        body = {"drain": False} | ({"targetDirectory": folder} if folder else {})
        return self._post(f"/jobs/{job_id}/stop", body)["request-id"]

    def savepoint(self, job_id: str, request: str) -> Savepoint | None:
        """The savepoint of a request; None while it is being written."""
        answer = self._get(f"/jobs/{job_id}/savepoints/{request}")
        if answer["status"]["id"] != "COMPLETED":
            return None
        operation = answer["operation"]
        if (cause := operation.get("failure-cause")) is None:
            return Savepoint(operation["location"], "")
        return Savepoint("", _root_cause(cause.get("stack-trace", "")) or cause["class"])

    def cancel(self, job_id: str) -> None:
        """Cancel a job; its checkpoints stay."""
        httpx.patch(f"{self._url}/jobs/{job_id}", params={"mode": "cancel"}).raise_for_status()

    def _post(self, path: str, body: Mapping[str, object]):
        return httpx.post(f"{self._url}{path}", json=body, timeout=10.0).raise_for_status().json()

    def _get(self, path: str):
        return httpx.get(f"{self._url}{path}", timeout=5.0).raise_for_status().json()


def _root_cause(trace: str) -> str:
    r"""The message of the exception at the bottom of a Java stack trace.

    >>> _root_cause("E: outer\n\tat a.b\nCaused by: java.io.IOException: disk full\n\tat c.d\n\t... 8 more")
    'java.io.IOException: disk full'
    """
    messages = [line for line in trace.splitlines() if line and not line[0].isspace()]
    return messages[-1].removeprefix("Caused by: ") if messages else ""
