"""Settings that a whole process has, from variables: prefixes of names that other processes must spell alike."""

import os
import re


class SettingError(ValueError):
    """A setting is not valid; the message names its variable, the expectation and a fix."""


def setting(variable: str, pattern: str, meaning: str, default: str = "") -> str:
    """The value of a variable; an empty one counts as not set.

    Raises:
        SettingError: it does not match the pattern; `meaning` says what is expected.
    """
    value = os.environ.get(variable) or default
    if not re.fullmatch(pattern, value):
        message = f"{variable} is {value!r}, must be {meaning}"
        raise SettingError(message)
    return value
