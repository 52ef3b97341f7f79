"""Is a function that travels by value known to have changed when something that it uses was bound anew?"""

from __future__ import annotations

import gc
import json
import types
import weakref
from typing import Any

import pytest

from vine.client.bindings import Bindings, goes_by_value


class Session:
    """An interactive session: cells that share one `__main__`."""

    def __init__(self, first_cell: str) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.cell(first_cell)
        self.before = Bindings(self.names["body"])

    def cell(self, text: str) -> bool:
        """Runs it; whether the body must be sent anew."""
        exec(text, self.names)
        return hasattr(self, "before") and not self.before.unchanged()


def test_what_can_be_imported_goes_by_name() -> None:
    assert not goes_by_value(json.dumps)
    assert not goes_by_value(len)
    assert not goes_by_value(3)
    assert goes_by_value(lambda: None)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            "import functools\nlimit = 1\ndef inner(): return limit\n"
            "def made(part):\n    def body(): return part()\n    return body\nbody = made(functools.partial(inner))",
            "limit = 2",
        ),
        ("limit = 1\ndef body(): return limit", "limit = 2"),
        ("def help(): return 1\ndef body(): return help()", "def help(): return 2"),
        ("x = 1\ndef help(): return x\ndef body(): return help()", "x = 2"),
        ("x = 1\ndef body(): return [(lambda: x)() for _ in 'ab']", "x = 2"),
        ("class Kind:\n def f(self): return x\nx = 1\ndef body(): return Kind()", "x = 2"),
        ("class Kind:\n @staticmethod\n def f(): return x\nx = 1\nbody = Kind", "x = 2"),
        ("class Kind:\n @property\n def f(self): return x\nx = 1\nbody = Kind", "x = 2"),
        ("def body(): return later()", "def later(): return 1"),
        ("x = 1\ndef body(): return x", "del x"),
        ("def outer():\n n = 1\n def body(): return n\n def turn():\n  nonlocal n\n  n = 2\n return body, turn\n"
         "body, turn = outer()", "turn()"),
    ],
)  # fmt: skip
def test_what_is_bound_anew_is_seen(first: str, second: str) -> None:
    session = Session(first)
    assert not session.cell("other = 5")
    assert session.cell(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("def body(x): return x.append", "append = 1"),
        ("import json\ndef body(): return json.dumps", "dumps = 1"),
        ("rows = []\ndef body(): return rows", "rows.append(1)"),
        ("def body(x): return body(x - 1) if x else 0", "other = 1"),
        ("def outer():\n def body(): return missing\n return body\n missing = 1\nbody = outer()", "pass"),
    ],
)
def test_what_is_not_bound_anew_is_not(first: str, second: str) -> None:
    assert not Session(first).cell(second)


def test_a_function_is_not_kept_alive_by_what_is_known_of_it() -> None:
    session = Session("def body(x): return body(x - 1) if x else 0")
    gone = weakref.ref(session.names.pop("body"))
    gc.collect()
    assert gone() is None
    assert isinstance(session.before, Bindings)
    assert not session.before.unchanged()


def test_a_class_is_read_with_the_bases_that_travel_with_it() -> None:
    session = Session("class Base:\n def f(self): return x\nx = 1\nclass body(Base):\n def g(self): return y\ny = 1")
    assert isinstance(session.names["body"].g, types.FunctionType)
    assert session.cell("y = 2")
    session.cell("y = 1")
    assert session.cell("x = 2")
