"""What do functions of a library call to get at what their context function has made?"""

from __future__ import annotations

from typing import Any

from vine import errors


def load_variable_from_library(name: str) -> Any:
    """What the context function of this library has returned under this name; for functions of libraries only.

    LookupError if it has returned no such name. Where a library is loaded, be `vine` installed there or not, its
    host puts a function of its own in the place of this one.
    """
    raise errors.UsageError(
        f"load_variable_from_library({name!r}) is for the functions of a library, while a worker runs them"
    )


load_variable_from_library.__module__ = "vine"  # Where pickles look for it, in environments that have no more of us.
