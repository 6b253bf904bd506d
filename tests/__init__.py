"""The tests work on no environment of whoever runs them: variables that are read at import go first."""

import os

_KEPT = {"HEADRACE_DATA", "HEADRACE_DEVICE", "HEADRACE_WRITE_GOLDEN"}
for _name in [name for name in os.environ if name.startswith("HEADRACE_") and name not in _KEPT]:
    del os.environ[_name]
