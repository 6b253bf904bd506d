"""Mathematics: embedding tables, ranker, towers, index. numpy and torch; no I/O, no clock, no global random."""
