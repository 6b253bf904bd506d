"""`headrace replay`: send a recorded log through the whole pipeline."""
