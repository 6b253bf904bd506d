"""The learner's journal: one JSON line per version with its metrics, and one per notable event."""

import sys
import time
from pathlib import Path

import msgspec

from headrace.learner.versions.cuts import Publication


class Journal:
    """Writes versions to a file, and shorter lines to the standard output, with the loss of the head `score`."""

    def __init__(self, path: Path, *, score: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file, self._score = path.open("ab"), score
        self._since_s = time.monotonic()
        self._offset: int | None = None  # end of the last version; None before this process has made one

    def log(self, event: str, **facts: str | float) -> None:
        """Print a line about an event other than a version."""
        self._print({"event": event, **facts})

    def log_version(self, publication: Publication, *, offset: int, faults: dict[str, int]) -> None:
        """Write the line of a published version and print its headline."""
        manifest = publication.manifest
        now_s = time.monotonic()
        before = offset if self._offset is None else self._offset
        rate = (offset - before) / max(now_s - self._since_s, 1e-9)
        self._since_s, self._offset = now_s, offset
        headline = {
            "event": "version",
            "version": manifest.version,
            "clock_ms": manifest.to_ms,
            "offset": offset,
            "rows": sum(manifest.rows.values()),
            "bytes": sum(map(len, publication.chunks)),
            "samples_per_s": round(rate, 1),
        }
        line = {**headline, "faults": faults, "window": publication.window, "rolling": publication.rolling}
        self._file.write(msgspec.json.encode(line) + b"\n")
        self._file.flush()
        loss = publication.rolling.get(f"published.all.{self._score}.log_loss")
        self._print(headline if loss is None else {**headline, f"{self._score}_log_loss": round(loss, 5)})

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @staticmethod
    def _print(line: dict[str, str | float | int]) -> None:
        sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
        sys.stdout.buffer.flush()
