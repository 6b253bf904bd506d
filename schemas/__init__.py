"""Everything that crosses a process boundary: events, topics, Redis keys, deltas, HTTP types. No I/O, no clock."""
