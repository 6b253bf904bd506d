"""The records of a topic between two append times, from the log itself."""

from collections.abc import Iterator, Mapping
from contextlib import closing

from headrace.archive.files import Gap
from headrace.archive.read import LogRecord
from headrace.errors import UsageProblem
from headrace.store.kafka.log import LogReader, bounds, raise_any


class TopicRange:
    """The records that were appended from one time up to, but not including, another."""

    def __init__(self, bootstrap: str, topic: str, *, from_ms: int, to_ms: int | None) -> None:
        """Look the offsets up; without `to_ms` the range ends where the log ends now.

        Raises:
            UsageProblem: there is no such topic. KafkaException: the broker does not answer.
        """
        log = {partition: found for (_, partition), found in bounds(bootstrap, topic).items()}
        if not log:
            message = f"there is no topic {topic}; `headrace topics plan` lists those of this environment"
            raise UsageProblem(message)
        self._bootstrap, self._topic = bootstrap, topic
        with closing(LogReader(bootstrap, topic, {})) as reader:
            self._begins = reader.offsets_at(from_ms)
            # not the offsets at this clock's time: the newest records are of this millisecond, or of a broker's clock
            ends = {partition: end for partition, (_, end) in log.items()}
            self._ends = ends if to_ms is None else reader.offsets_at(to_ms)
        self.partitions = len(log)
        self.missing: list[Gap] = []
        self.cut_short = any(0 < low == self._begins[partition] for partition, (low, _) in log.items())
        """Whether the log may begin after the first time: older records have passed their retention."""

    def read(self, done: Mapping[int, int]) -> Iterator[LogRecord]:
        """The records, without those before an offset of their partition.

        Raises:
            KafkaException: the broker stopped answering.
        """
        begins = {partition: max(begin, done.get(partition, 0)) for partition, begin in self._begins.items()}
        begins = {partition: begin for partition, begin in begins.items() if begin < self._ends[partition]}
        if not begins:
            return
        ends = {partition: self._ends[partition] for partition in begins}
        with closing(LogReader(self._bootstrap, self._topic, begins, on_error=raise_any)) as reader:
            for message in reader.read_to_end(ends=ends):
                yield LogRecord(
                    partition=message.partition() or 0,
                    offset=message.offset() or 0,
                    appended_ms=message.timestamp()[1],
                    key=message.key(),
                    value=message.value(),
                    headers=[(name, v.encode() if isinstance(v, str) else v) for name, v in message.headers() or ()],
                )
