"""Is all that a program may call said in the reference, which `make docs` makes of docstrings?"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest

import vine
from tests.live.helpers import ROOT
from vine import errors

CLASSES = [getattr(vine, name) for name in vine.__all__ if inspect.isclass(getattr(vine, name))]

# Our own rooms call these across the classes. Without docstrings they stay out of the reference.
INTERNAL = {
    "File": {"belongs_to", "kind"},
    "Manager": {
        "calls",
        "check_own",
        "declare_function",
        "lifeline",
        "session",
        "task_broken",
        "task_ended",
        "task_of",
    },
    "Task": {"abandoned", "broken", "disowned", "ended"},
    "VineFuture": {"call_back"},
}


def members(kind: type) -> Iterator[tuple[str, Any]]:
    """What is ours and public of a class: its functions and properties."""
    for name in dir(kind):
        member: Any = inspect.getattr_static(kind, name)
        function = member.fget if isinstance(member, property) else member
        ours = inspect.isfunction(function) and function.__module__.startswith("vine")
        if ours and not name.startswith("_"):
            yield name, function


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_what_users_may_call_says_what_it_does(kind: type) -> None:
    silent = {name for name, function in members(kind) if not function.__doc__}
    internal = set().union(*(INTERNAL.get(each.__name__, ()) for each in kind.__mro__))
    assert silent <= internal
    assert inspect.getdoc(kind)


def test_every_error_says_what_has_gone_wrong() -> None:
    kinds = [each for each in vars(errors).values() if inspect.isclass(each) and issubclass(each, errors.VineError)]
    assert len(kinds) > 20 and all(each.__doc__ for each in kinds)


def test_every_room_whose_members_managers_and_tasks_inherit_is_in_the_reference() -> None:
    inherited = {each.__module__ for kind in (vine.Manager, vine.FunctionCall) for each in kind.__mro__}
    parts = re.search(r"^PARTS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert parts is not None
    told = {f"vine.client.{part}" for part in parts[1].split()}
    own = {vine.Manager.__module__, vine.PythonTask.__module__, "builtins"}  # Those of `vine` are told there.
    assert inherited - own <= told
