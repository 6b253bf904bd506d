"""Topics and archives: read, listed, restored."""
