"""Every word that crosses a process: events, topics, Redis keys, tiles, deltas, HTTP types. No I/O, no clock."""
