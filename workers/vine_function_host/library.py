"""What does a library bring: modules, functions that call each other, and a context that all calls share."""

from __future__ import annotations

import importlib
import json
import sys
from typing import TYPE_CHECKING, Any

from vine_function_host.payload import pieces_of
from vine_function_host.serialiser import Loaded

if TYPE_CHECKING:
    from vine_function_host.serialiser import Serialiser

_variables: dict[str, Any] = {}  # what the context function has returned


def load_variable_from_library(name: str) -> Any:
    """What the context function of this library has returned under this name."""
    if name not in _variables:
        known = ", ".join(sorted(map(str, _variables))) or "none"
        raise LookupError(f"the library has no variable {name!r}: its context function returned {known}")
    return _variables[name]


def load_library(path: str, serialiser: Serialiser) -> dict[bytes, Loaded]:
    """Imports, loads, computes the context; returns the functions by their names as calls give them."""
    with open(path, "rb") as file:
        modules, functions_and_context = map(bytes, pieces_of(file.read()))
    _offer()
    for name in json.loads(modules.decode()):
        importlib.import_module(name)
    loaded = serialiser.function(functions_and_context)
    functions, context = loaded.function
    if context is not None:
        function, args, kwargs = context
        made = function(*args, **kwargs)
        if not isinstance(made, dict):
            kind = type(made).__qualname__
            raise TypeError(f"a context function returns a dict of names and values, not a {kind}")
        _variables.update(made)
    return {name.encode(): Loaded(function, loaded.registered) for name, function in functions.items()}


def _offer() -> None:
    """Lets functions ask `vine` for their variables, be it here or not; another package of that name keeps its own."""
    try:
        package: Any = importlib.import_module("vine")
    except ImportError:
        package = sys.modules["vine"] = type(sys)("vine")
    package.load_variable_from_library = load_variable_from_library
