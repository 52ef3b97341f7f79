"""How are functions made a library that workers load once, and called there?"""

from __future__ import annotations

import json
import types
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from vine import config, errors
from vine.client import amounts, serialise
from vine.client.environments import Declarable, Environments, environment_id
from vine.client.files import File
from vine.client.python_tasks import PythonTask, name_of
from vine.client.registered import registry
from vine.client.tasks import Sized, a_file, checked
from vine.names import TaskId
from vine.wire.messages import ForgetFiles, InstallLibrary, RemoveLibrary
from vine.wire.parts import LibrarySpec, Request, TaskKind, TaskSpec
from vine_function_host.payload import in_one

Function = Callable[..., Any]
_TWO_WORDS = "{} and {} are two words for one thing: leave one out"
_EXEC_MODES = {"fork": True, "direct": False}


class LibraryTask(Sized):
    """Functions that each worker loads once, with a context that all calls share; see `create_library_from_functions`.

    Its `set_cores`, `set_memory` and so on say what all its calls on one worker have together. What is left out is
    shared out as for a task: a library that names nothing takes a whole worker while calls of it run there. One that
    nobody calls makes room for others when they need it.
    """

    def __init__(self, name: str, functions: Iterable[str], content: bytes) -> None:
        self.name = name
        self.functions = tuple(functions)
        self.content: bytes | None = content  # until it is installed
        self.spec: LibrarySpec | None = None  # since it is
        self._request: dict[str, float] = {}
        self._environment: File | None = None
        self._has_environment = False  # Its own, or none by its own wish; else the manager's default.
        self._slots: int | None = None
        self._forks = True

    def set_function_slots(self, slots: int | None) -> None:
        """So many calls run at once on a worker; None for one a core."""
        usable = isinstance(slots, int) and not isinstance(slots, bool) and 1 <= slots <= config.library_slots_max
        if slots is not None and not usable:
            raise errors.UsageError(f"{slots!r} is no number of slots: give 1 to {config.library_slots_max}, or None")
        self._slots = slots

    def set_function_exec_mode(self, mode: str) -> None:
        """ "fork": each call runs in a process of its own, forked from the loaded library, and leaves nothing behind.

        "direct": each slot is a process that runs call after call, which is faster for short ones; what a call
        leaves there the next one finds.
        """
        if mode not in _EXEC_MODES:
            raise errors.UsageError(f"{mode!r} is no mode of running calls: give 'fork' or 'direct'")
        self._forks = _EXEC_MODES[mode]

    def set_environment(self, environment: File | None) -> None:
        """Load and call it with the interpreter of this environment, from `declare_environment`.

        None is the workers' own software, whatever the manager's default is; without this that default counts, as it
        is when the library is installed.
        """
        self._environment = None if environment is None else a_file(environment)
        self._has_environment = True

    @property
    def environment(self) -> File | None:
        """What `set_environment` has said; since it is installed, what it runs on."""
        return self._environment

    def environment_or(self, default: File | None) -> File | None:
        """What it runs on, where that is what runs on nothing of its own."""
        if not self._has_environment:
            self.set_environment(default)
        return self._environment

    def described(self, file: File) -> LibrarySpec:
        """What the run is told of it, with its functions in this file."""
        return LibrarySpec(
            file.file_id,
            self.name,
            self.functions,
            environment_id(self._environment, f"the library '{self.name}'"),
            Request(**self._request),
            self._slots,
            self._forks,
        )

    def __repr__(self) -> str:
        return f"<vine.LibraryTask {self.name!r} of {', '.join(self.functions)}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a vine.LibraryTask is no argument: functions of a library call each other by their names")


class FunctionCall(PythonTask):
    """A call of a function of an installed library: it takes a slot of the library on a worker.

    `output` is what the function returned, or the exception that it ended with. `set_memory` and `set_disk` limit
    what the call may use, in MB, beyond what the library has loaded; without them it may use the library's memory.
    """

    def __init__(self, library: str | LibraryTask, name: str, *args: Any, **kwargs: Any) -> None:
        self._library = library.name if isinstance(library, LibraryTask) else library
        self._function = name
        if not isinstance(self._library, str) or not isinstance(name, str):
            raise errors.UsageError(f"FunctionCall({library!r}, {name!r}): give the names of a library and a function")
        super().__init__(_placeholder, *args, **kwargs)
        self.name = self.command = f"{self._library}.{name}"

    def set_cores(self, cores: float) -> None:
        """Changes nothing, as in TaskVine, and warns: a call takes a slot, and cores are the library's."""
        amounts.amount("cores", cores)
        warnings.warn(self._not_its_own("cores"), stacklevel=2)

    def set_gpus(self, gpus: float) -> None:
        """As `set_cores`."""
        amounts.amount("gpus", gpus)
        warnings.warn(self._not_its_own("gpus"), stacklevel=2)

    def set_environment(self, environment: File | None) -> None:
        """UsageError: it runs in the library, on that one's environment."""
        raise errors.UsageError(self._not_its_own("environment"))

    def _not_its_own(self, what: str) -> str:
        return (
            f"a call takes a slot of its library, '{self._library}', and has no {what} of its own: "
            f"use the library's set_{what}() before it is installed"
        )

    def _spec(self, manager: Any, task_id: TaskId) -> TaskSpec:
        library = manager.library_for(self._library, self._function)
        self._environment, self._has_environment = library.environment, True
        arguments = self._arguments(manager, *self._call[1:])
        return self._common(
            manager,
            task_id,
            kind=TaskKind.LIBRARY,
            command=self._function,
            function=library.spec.file_id,
            label=self.name,
            **arguments,
        )


def _placeholder() -> None:
    """In the place of a function that is named, not given."""


class Libraries(Environments):
    """A manager's part that has functions loaded once; see `Manager`."""

    _libraries: dict[str, LibraryTask]

    def create_library_from_functions(
        self,
        name: str,
        *functions: Function,
        environment: File | None = None,
        context: Sequence[Any] | None = None,
        hoisting_modules: Iterable[types.ModuleType | str] | None = None,
        slots: int | None = None,
        exec_mode: str = "fork",
        poncho_env: Declarable | None = None,
        add_env: bool = True,
        library_context_info: Sequence[Any] | None = None,
    ) -> LibraryTask:
        """A library of these functions, which may call each other; `install_library` makes it usable.

        Each worker that gets a call of it loads it once: it imports the `hoisting_modules`, loads the functions, then
        computes the `context`, (function, positional arguments, named arguments), which returns a dict. Functions get
        at its values with `vine.load_variable_from_library(name)`. All calls on the worker share the memory of what
        was loaded, as long as they do not write to it: they run in forks of the process that has loaded it. One that
        has several threads after loading, or uses a GPU, cannot be forked: each slot then loads the library for
        itself, and runs its calls one after another, and the library's log says so.

        `environment`, `slots` and `exec_mode` are as `set_environment`, `set_function_slots` and
        `set_function_exec_mode` of the library; without an environment it runs on the manager's default. UsageError
        for what cannot be meant, NotSerialisable for functions or a context that cannot travel.

        The rest are TaskVine's words: `library_context_info` is the `context`, and `poncho_env` an `environment` that
        is yet to be declared; with `add_env=False` the library runs on the workers' own software.
        """
        if not isinstance(name, str) or not 1 <= len(name) <= config.name_chars_max:
            raise errors.UsageError(f"{name!r} is no name for a library: give 1 to {config.name_chars_max} characters")
        by_name = _by_name(name, functions)
        modules = [_module_name(name, module) for module in hoisting_modules or ()]
        if context is not None and library_context_info is not None:
            raise errors.UsageError(_TWO_WORDS.format("context", "library_context_info"))
        info = library_context_info if context is None else context
        content = _content(name, modules, by_name, _call_of(name, info))
        library = LibraryTask(name, by_name, content)
        library.set_function_slots(slots)
        library.set_function_exec_mode(exec_mode)
        if environment is not None and poncho_env is not None:
            raise errors.UsageError(_TWO_WORDS.format("environment", "poncho_env"))
        if not add_env:
            library.set_environment(None)
        elif poncho_env is not None:
            library.set_environment(self.environment_or_default(poncho_env))
        elif environment is not None:
            library.set_environment(environment)
        return library

    def install_library(self, library: LibraryTask) -> None:
        """Calls may name the library from now on; workers load it when they get the first one. Returns at once."""
        self._session.check()
        if not isinstance(library, LibraryTask):
            raise errors.UsageError(f"{library!r} is no library: give what create_library_from_functions() returns")
        if library.content is None:
            raise errors.UsageError(f"{library!r} has been installed before: create it anew to install it again")
        if library.name in self._libraries:
            raise errors.UsageError(
                f"a library '{library.name}' is installed already: remove_library() it first, or use another name"
            )
        environment = library.environment_or(self._default_environment)
        if environment is not None and not environment.belongs_to(self._session):
            raise errors.UsageError(f"{environment!r} is no file of this manager: declare it here")
        checked(TaskSpec(TaskId(1), TaskKind.LIBRARY, label=library.name, tag=library.name))
        file = self._declarer.buffer(library.content, f"library '{library.name}'")
        library.spec = library.described(file)
        library.content = None
        self._session.say(InstallLibrary(library.spec))
        self._libraries[library.name] = library

    def remove_library(self, library: str | LibraryTask) -> None:
        """Calls of it that run may end; those that have not begun fail with LibraryMissing, and workers drop it."""
        name = library.name if isinstance(library, LibraryTask) else library
        found = self._libraries.pop(name, None)
        if found is None:
            raise errors.UsageError(f"no library {name!r} is installed: {_names(self._libraries)}")
        assert found.spec is not None, "an installed library has no number"
        self._session.say(RemoveLibrary(found.spec.file_id))
        self._session.say(ForgetFiles((found.spec.file_id,)))

    def library_for(self, name: str, function: str) -> LibraryTask:
        """The installed library of this name, which has such a function."""
        library = self._libraries.get(name)
        if library is None:
            raise errors.UsageError(
                f"no library {name!r} is installed: install_library() it before its calls are submitted "
                f"({_names(self._libraries)})"
            )
        if function not in library.functions:
            raise errors.UsageError(
                f"the library '{name}' has no function {function!r}: it has {', '.join(library.functions)}"
            )
        return library


def _names(libraries: Mapping[str, LibraryTask]) -> str:
    return f"installed are {', '.join(libraries)}" if libraries else "none is"


def _by_name(library: str, functions: Sequence[Function]) -> dict[str, Function]:
    if not 1 <= len(functions) <= config.library_functions_max:
        raise errors.UsageError(f"the library '{library}' has {len(functions)} functions: give it at least one")
    by_name: dict[str, Function] = {}
    for function in functions:
        name = getattr(function, "__name__", None)
        if not callable(function) or not isinstance(name, str) or not name.isidentifier():
            raise errors.UsageError(f"{function!r} cannot be called by a name: give functions that were made by `def`")
        if name in by_name:
            raise errors.UsageError(f"two functions of the library '{library}' are called {name!r}: rename one")
        by_name[name] = function
    return by_name


def _module_name(library: str, module: types.ModuleType | str) -> str:
    name = module.__name__ if isinstance(module, types.ModuleType) else module
    if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
        raise errors.UsageError(f"{module!r} is no module for the library '{library}': give modules, or their names")
    return name


def _call_of(library: str, context: Sequence[Any] | None) -> tuple[Function, tuple[Any, ...], dict[str, Any]] | None:
    """The context's function with all its arguments; what is left out is none."""
    if context is None:
        return None
    given = (*context, *((), {})[len(context) - 1 :]) if isinstance(context, (tuple, list)) and context else ()
    if len(given) != 3 or not callable(given[0]) or not isinstance(given[2], Mapping):
        raise errors.UsageError(
            f"context={context!r} of the library '{library}' is none: give (function, positional arguments, named "
            "arguments), of which the arguments may be left out"
        )
    return given[0], tuple(given[1]), dict(given[2])


def _content(library: str, modules: list[str], functions: dict[str, Function], context: object) -> bytes:
    """What a worker loads: functions and context in one piece, so that what they share they share there too."""
    label = f"library '{library}'"
    try:
        loaded = serialise.dump((functions, context))
    except Exception as error:
        named = _blame(functions, context)
        raise errors.NotSerialisable(
            f"{named} of the {label} cannot be serialised by pickle or dill "
            f"({type(error).__name__}: {' '.join(str(error).split())[:300]}): make what it refers to inside of it"
        ) from error
    return in_one((json.dumps(modules).encode(), registry.before(loaded)))


def _blame(functions: dict[str, Function], context: object) -> str:
    for name, part in (
        *((f"'{name_of(function)}'", function) for function in functions.values()),
        ("context", context),
    ):
        try:
            serialise.dump(part)
        except Exception:  # noqa: BLE001 - picklers raise anything
            return name
    return "something"
