"""Are functions packed as one library, is nonsense refused, and does a call name what is installed?"""

from __future__ import annotations

import json
import math
from typing import Any

import dill
import pytest

import vine
from vine import errors
from vine.client.calls import Calls
from vine.client.files import File
from vine.client.libraries import Libraries
from vine.names import FileId, TaskId
from vine.wire.messages import ForgetFiles, InstallLibrary, RemoveLibrary
from vine.wire.parts import CacheLevel, FileKind, FileSpec, LibrarySpec, Request, TaskKind
from vine_function_host.payload import body_of, pieces_of


class Said(Libraries):
    """Keeps what would be declared and sent; stands for manager, session and declarer."""

    enforce_resources = True

    def __init__(self) -> None:
        self.said: list[Any] = []
        self.declared: list[bytes] = []
        self._libraries = {}
        self._session = self._declarer = self  # type: ignore[assignment]
        self.calls = Calls(self, self)  # type: ignore[arg-type]

    def check(self) -> None:
        """The session is well."""

    def say(self, message: Any) -> None:
        self.said.append(message)

    def buffer(self, data: bytes, label: str) -> File:
        self.declared.append(data)
        return File(self, FileSpec(FileId(len(self.declared)), FileKind.BUFFER, CacheLevel.WORKFLOW, label))  # type: ignore[arg-type]

    def check_own(self, file: File) -> None:
        assert file.belongs_to(self)  # type: ignore[arg-type]


def helper(x: int) -> int:
    return x + 1


def double(x: int) -> int:
    return 2 * helper(x)


def context(size: int) -> dict[str, int]:
    return {"size": size}


@pytest.fixture
def manager() -> Said:
    return Said()


def test_modules_functions_and_context_are_packed_together(manager: Said) -> None:
    made = lambda x: double(x)  # noqa: E731 - by value
    made.__name__ = "made"
    library = manager.create_library_from_functions(
        "lib", made, helper, context=(context, [3]), hoisting_modules=[math, "os.path"]
    )
    assert library.content is not None
    modules, loaded = pieces_of(library.content)
    functions, (function, args, kwargs) = dill.loads(body_of(loaded))
    assert json.loads(modules) == ["math", "os.path"]
    assert list(functions) == ["made", "helper"]
    assert functions["made"](4) == 10
    assert (function(*args), kwargs) == ({"size": 3}, {})


@pytest.mark.parametrize("given", [(context,), (context, (5,)), (context, [], {"size": 5}), None])
def test_the_contexts_arguments_may_be_left_out(manager: Said, given: Any) -> None:
    assert manager.create_library_from_functions("lib", helper, context=given).functions == ("helper",)


def test_installing_it_declares_its_content_and_says_what_it_has(manager: Said) -> None:
    library = manager.create_library_from_functions("lib", helper, double, slots=3, exec_mode="direct")
    library.set_cores(4)
    library.set_memory(1000)
    manager.install_library(library)
    spec = LibrarySpec(FileId(1), "lib", ("helper", "double"), None, Request(4, 1000), 3, False)
    assert manager.said == [InstallLibrary(spec)]
    assert library.content is None, "its bytes are not kept twice"
    manager.remove_library("lib")
    assert manager.said[1:] == [RemoveLibrary(FileId(1)), ForgetFiles((FileId(1),))]


def test_a_call_names_library_and_function_and_takes_no_cores(manager: Said) -> None:
    library = manager.create_library_from_functions("lib", helper)
    manager.install_library(library)
    call = vine.FunctionCall(library, "helper", 1)
    with pytest.warns(UserWarning):
        call.set_cores(4)
    call.set_memory(50)
    call.set_time_max(3)
    spec = call.submitted(manager, TaskId(7))  # type: ignore[arg-type]
    assert (spec.kind, spec.function, spec.command) == (TaskKind.LIBRARY, FileId(1), "helper")
    assert (spec.label, spec.request, spec.time_limit_s) == ("lib.helper", Request(memory_mb=50), 3)
    assert "'lib.helper'" in repr(call)


def test_cores_of_a_call_change_nothing_and_are_warned_of_as_they_are_the_librarys() -> None:
    call = vine.FunctionCall("lib", "helper")
    for setting in (call.set_cores, call.set_gpus):
        with pytest.warns(UserWarning, match="a call takes a slot of its library, 'lib'") as warned:
            setting(1)
        assert [each.filename for each in warned] == [__file__], "it names the program's line"
        with pytest.raises(errors.UsageError, match="no amount"):
            setting(-1)
    with pytest.raises(errors.UsageError, match="a call takes a slot of its library, 'lib'"):
        call.set_environment(None)


def test_a_call_of_what_is_not_installed_is_refused_at_submission(manager: Said) -> None:
    for name, words in (("other", "no library 'other' is installed: .*installed are lib"), ("lib", "it has helper")):
        if name == "lib":
            call = vine.FunctionCall(name, "nothing")
        else:
            call = vine.FunctionCall(name, "helper")
            manager.install_library(manager.create_library_from_functions("lib", helper))
        with pytest.raises(errors.UsageError, match=words):
            call.submitted(manager, TaskId(7))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "named", "words"),
    [
        (("", helper), {}, "no name for a library"),
        (("lib",), {}, "at least one"),
        (("lib", lambda: 1), {}, "made by `def`"),
        (("lib", helper, helper), {}, "two functions .* are called 'helper'"),
        (("lib", helper), {"slots": 0}, "no number of slots"),
        (("lib", helper), {"slots": True}, "no number of slots"),
        (("lib", helper), {"exec_mode": "thread"}, "'fork' or 'direct'"),
        (("lib", helper), {"context": context}, "give .function, positional"),
        (("lib", helper), {"context": ()}, "give .function, positional"),
        (("lib", helper), {"context": (context, (), {}, 1)}, "give .function, positional"),
        (("lib", helper), {"hoisting_modules": [helper]}, "no module for the library 'lib'"),
        (("lib", helper), {"hoisting_modules": ["a b"]}, "no module for the library 'lib'"),
        (("lib", helper), {"environment": "env"}, "no declared file"),
    ],
)
def test_nonsense_is_refused_with_what_may_be_given(manager: Said, arguments: Any, named: Any, words: str) -> None:
    with pytest.raises(errors.UsageError, match=words):
        manager.create_library_from_functions(*arguments, **named)


def test_a_library_that_names_no_environment_runs_on_the_managers_default(manager: Said) -> None:
    default, own = manager.buffer(b"", "default"), manager.buffer(b"", "own")
    manager._default_environment = default
    libraries = [manager.create_library_from_functions(name, helper) for name in ("default's", "own", "none")]
    libraries[1].set_environment(own)
    libraries[2].set_environment(None)
    for library in libraries:
        manager.install_library(library)
    specs = [message.library for message in manager.said]
    assert [spec.environment for spec in specs] == [default.file_id, own.file_id, None]


def test_taskvines_words_mean_the_same(manager: Said) -> None:
    environment = manager.buffer(b"", "environment")
    manager._default_environment = environment
    ours = manager.create_library_from_functions("a", helper, context=(context, [3]))
    theirs = manager.create_library_from_functions(
        "b", helper, poncho_env=environment, library_context_info=[context, [3], {}], hoisting_modules=None
    )
    bare = manager.create_library_from_functions("c", helper, poncho_env=environment, add_env=False)
    assert theirs.content == ours.content and theirs.environment is environment
    manager.install_library(bare)
    assert manager.said[-1].library.environment is None
    with pytest.raises(errors.UsageError, match="context and library_context_info are two words for one thing"):
        manager.create_library_from_functions("d", helper, context=(context,), library_context_info=(context,))


def test_what_cannot_travel_is_named(manager: Said) -> None:
    lines = (line for line in "ab")

    def reads() -> Any:
        return lines

    with pytest.raises(errors.NotSerialisable, match=r"'.*reads' of the library 'lib' cannot be serialised"):
        manager.create_library_from_functions("lib", helper, reads)
    with pytest.raises(errors.NotSerialisable, match="context of the library 'lib' cannot be serialised"):
        manager.create_library_from_functions("lib", helper, context=(context, [lines]))


def test_a_library_is_installed_once_and_under_a_name_of_its_own(manager: Said) -> None:
    library = manager.create_library_from_functions("lib", helper)
    manager.install_library(library)
    with pytest.raises(errors.UsageError, match="has been installed before"):
        manager.install_library(library)
    with pytest.raises(errors.UsageError, match="a library 'lib' is installed already"):
        manager.install_library(manager.create_library_from_functions("lib", helper))
    with pytest.raises(errors.UsageError, match="is no library"):
        manager.install_library("lib")  # type: ignore[arg-type]
    manager.remove_library(library)
    manager.install_library(manager.create_library_from_functions("lib", helper))
    with pytest.raises(errors.UsageError, match="no library 'x' is installed"):
        manager.remove_library("x")
