"""What does a function import, and which distributions bring that: read from its source, without running any of it?"""

from __future__ import annotations

import ast
import importlib.metadata
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from vine.errors import FileMissing, UsageError

_IMPORTERS = ("__import__", "import_module")  # Where the name is written there.
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(slots=True)
class Needs:
    """Distributions with their versions, modules of the user's own beside the script, and what nobody here brings."""

    pins: dict[str, str] = field(default_factory=dict)
    own: dict[str, Path] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)


def needs_of(script: Path, function: str | None = None) -> Needs:
    """What the script imports, or what one of its functions needs of that: through other functions, classes and values
    of the script, and through modules that lie beside it.

    Imports in functions count, and so do conditional ones. Names are looked up among what is installed for the Python
    that runs this. FileMissing, or UsageError for what is no Python or has no such function.
    """
    module = _Module(script)
    needs = Needs()
    pending = sorted(module.imports_of(function))
    providers = importlib.metadata.packages_distributions()
    while pending:
        name = pending.pop()
        top = name.partition(".")[0]
        own = _beside(script.parent, top, top in providers)
        if own is not None:
            if top not in needs.own:
                needs.own[top] = own
                files = [own] if own.is_file() else sorted(own.rglob("*.py"))
                pending += [each for file in files for each in _Module(file).imports_of(None)]
        elif top not in sys.stdlib_module_names and top not in sys.builtin_module_names:
            _add(needs, name, providers.get(top, []))
    return needs


def _add(needs: Needs, name: str, providers: list[str]) -> None:
    if not providers:
        needs.unknown.add(name.partition(".")[0])
    named = sorted(set(providers))
    if len(named) > 1:  # A package that several fill, such as `google`: those that have this part of it.
        named = [provider for provider in named if _has(provider, name)] or named
    needs.pins |= {provider: importlib.metadata.version(provider) for provider in named}


def _has(provider: str, name: str) -> bool:
    place = name.replace(".", "/")
    files = importlib.metadata.files(provider) or []
    return any(str(file).startswith((f"{place}/", f"{place}.")) for file in files)


def _beside(folder: Path, name: str, is_installed: bool) -> Path | None:
    """As Python looks for it: a folder of modules without an __init__.py counts where nothing of that name does."""
    if (module := folder / f"{name}.py").is_file():
        return module
    package = folder / name
    is_own = (package / "__init__.py").is_file() or (not is_installed and any(package.glob("*.py")))
    return package if is_own else None


class _Module:
    """One file: the names that its statements bind, and those that they use."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._tree = ast.parse(path.read_bytes(), str(path))
        except OSError as error:
            raise FileMissing(f"{path} cannot be read ({error.strerror}): check its name") from error
        except (SyntaxError, ValueError) as error:
            raise UsageError(f"{path} is no Python that {sys.version.split()[0]} reads ({error})") from error
        self._bound: dict[str, list[ast.stmt]] = {}
        for statement in _statements(self._tree.body):
            for name in _names_bound(statement):
                self._bound.setdefault(name, []).append(statement)

    def imports_of(self, function: str | None) -> set[str]:
        """The modules that are imported, by their full names; of all, or of what the function reaches."""
        if function is None:
            return {name for node in ast.walk(self._tree) for name in _imported(node)}
        if function not in self._bound:
            raise UsageError(f"{self._path} has no function {function!r}: it has {', '.join(self._functions())}")
        found: set[str] = set()
        seen: set[str] = set()
        pending = [function]
        while pending:
            name = pending.pop()
            if name in seen:
                continue
            seen.add(name)
            for statement in self._bound.get(name, self._bound.get("*", [])):
                for node in ast.walk(statement):
                    found |= _imported(node, only=name if node is statement else None)
                    if isinstance(node, ast.Name):
                        pending.append(node.id)
        return found

    def _functions(self) -> list[str]:
        return [node.name for node in self._tree.body if isinstance(node, _SCOPES)] or ["none"]


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Those of the module itself, within its conditions and loops too."""
    for statement in body:
        if isinstance(statement, _SCOPES) or not hasattr(statement, "body"):
            yield statement
            continue
        yield from _statements(_inner(statement))
        if isinstance(statement, (ast.For, ast.With, ast.AsyncFor, ast.AsyncWith)):
            yield statement  # It binds names of its own.


def _inner(statement: ast.stmt) -> list[ast.stmt]:
    inner = [child for child in ast.iter_child_nodes(statement) if isinstance(child, ast.stmt)]
    for handler in getattr(statement, "handlers", []):
        inner += handler.body
    return inner


def _names_bound(statement: ast.stmt) -> set[str]:
    if isinstance(statement, _SCOPES):
        return {statement.name}
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return {alias.asname or alias.name.partition(".")[0] for alias in statement.names}
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def _imported(node: ast.AST, only: str | None = None) -> set[str]:
    """The modules of an import; `only` those that bind this name."""
    if isinstance(node, ast.Import):
        return {
            alias.name for alias in node.names if only is None or (alias.asname or alias.name.partition(".")[0]) == only
        }
    if isinstance(node, ast.ImportFrom) and not node.level and node.module:
        wanted = only is None or any((alias.asname or alias.name) in (only, "*") for alias in node.names)
        return {node.module} if wanted else set()
    if isinstance(node, ast.Call) and node.args and _called(node.func) in _IMPORTERS:
        name = getattr(node.args[0], "value", None)
        return {name} if isinstance(name, str) and not name.startswith(".") else set()
    return set()


def _called(function: ast.expr) -> str | None:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else None
