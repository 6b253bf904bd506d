"""`headrace replay`: a recorded log through the whole line, and features recomputed from a log."""
