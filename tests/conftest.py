"""How the tests are tried: the same examples in every run, or new ones on demand.

A run that fails here fails everywhere. `pytest --hypothesis-profile explore` draws new examples.
"""

from __future__ import annotations

import copyreg
import signal
import types

import pytest
from hypothesis import settings

settings.register_profile("same", derandomize=True)
settings.register_profile("explore", derandomize=False, print_blob=True)
settings.load_profile("same")

# A shell without job control starts what it puts into the background deaf to this, and so whatever tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _exceptions_travel_as_in_programs_without_parsl() -> None:
    """Parsl registers picklers of its own for tracebacks and for every exception, when a test first imports it."""
    for kind in [*copyreg.dispatch_table]:
        if isinstance(kind, type) and issubclass(kind, (BaseException, types.TracebackType)):
            del copyreg.dispatch_table[kind]


@pytest.fixture
def nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """No type has a serialiser before the test, and what it registers goes with it."""
    from vine.client.registered import registry

    for name, empty in {"entries": [], "content": b"", "_by_name": {}, "_by_type": {}}.items():
        monkeypatch.setattr(registry, name, empty)
