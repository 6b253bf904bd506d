"""Mathematics of the models: embedding tables, ranker, towers, index. No I/O, no clock, no global random state."""
