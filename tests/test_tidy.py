"""Is the house in order: the rules of the house, as tests that name whoever breaks one."""

from __future__ import annotations

import ast
import configparser
import io
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = {"vine": ROOT / "vine", "vine_worker": ROOT / "workers" / "vine_worker"}
SOURCES |= {"vine_function_host": ROOT / "workers" / "vine_function_host"}
SOURCES |= {"vine_factory": ROOT / "factory" / "vine_factory", "benchmarks": ROOT / "benchmarks"}
TEST_ROOMS = {"vine": ".", "vine_worker": "worker", "vine_function_host": "function_host"}
TEST_ROOMS |= {"vine_factory": "factory", "benchmarks": "benchmarks"}

LINES_A_FILE_MAX = 450
LINES_A_FUNCTION_MAX = 40

# Functions that are longer, each with the reason.
_JOINS, _OPTIONS = "makes the parts and joins them: a line each", "an entry an option of the command line"
_SIGNATURE = "a public signature, and what each argument is"
LONGER = {
    "vine/client/executor.py:Executor.__init__": _SIGNATURE,
    "vine/client/executor.py:Executor.options": _SIGNATURE,
    "vine/client/libraries.py:Libraries.create_library_from_functions": _SIGNATURE,
    "vine/client/manager.py:Manager.__init__": _SIGNATURE,
    "vine/manager/main.py:_parser": _OPTIONS,
    "vine/manager/replay.py:read_run": "one structure, a query each field",
    "vine/scheduler/core.py:Scheduler.__init__": _JOINS,
    "vine/scheduler/reasons.py:snapshot": "one row of statistics, a line each key",
    "vine/scheduler/recovery.py:remake": "questions in a row, any of which ends it",
    "vine/scheduler/losses.py:worker_lost": "a line each who hears of it, in an order that matters",
    "vine/scheduler/state.py:State.__init__": "a line each table of what is known",
    "vine/transfer/node.py:TransferNode.__init__": _JOINS,
    "workers/vine_worker/bodies.py:Bodies._collected": "one end, whose outputs, streams and value depend on each other",
    "workers/vine_worker/core.py:WorkerCore.__init__": _JOINS,
    "workers/vine_worker/main.py:parse": _OPTIONS,
    "workers/vine_worker/worker.py:Worker._build": _JOINS,
    "benchmarks/mnist_sweep/network.py:train": "travels as code, without the functions beside it",
    "benchmarks/mnist_sweep/options.py:parse": _OPTIONS,
    "benchmarks/simulator/manager.py:SimulatedManager.__init__": _JOINS,
    "benchmarks/simulator/worker.py:SimulatedWorker.__init__": _JOINS,
    "tests/client/scripted.py:ScriptedManager.__init__": "a line each message that it hears",
    "tests/scheduler/fake_worker.py:FakeWorker.take": "a case each message",
    "tests/worker/test_core_machine.py:Driver.execute": "a case each action",
}

# Decisions are made here, without looking at the world: time and dice come as arguments.
PURE = (
    "vine.scheduler",
    "vine.transfer.plan",
    "vine.transfer.forest",
    "vine.transfer.offers",
    "vine.transfer.stragglers",
    "vine.transfer.trees",
    "vine.transfer.ranks",
    "vine.transfer.chunks",
    "vine.transfer.credit",
    "vine.transfer.receiver",
    "vine.transfer.sender",
    "vine.transfer.sources",
    "vine.transfer.stripes",
    "vine.transfer.tokens",
    "vine.wire.alike",
    "vine.wire.session",
    "vine.wire.codec",
    "vine.content.eviction",
    "vine.content.manifest",
    "vine.content.paths",
    "vine_worker.actions",
    "vine_worker.arrivals",
    "vine_worker.attempts",
    "vine_worker.board",
    "vine_worker.core",
    "vine_worker.enforcement",
    "vine_worker.successors",
    "vine_worker.functions.dispatch",
    "vine_worker.functions.libraries",
    "vine_worker.functions.pool",
    "vine_worker.inventory",
    "vine_worker.resources",
    "vine_worker.returning",
    "vine_worker.unpack_orders",
    "vine_worker.watching",
    "vine_factory.fleet",
    "vine_factory.need",
    "vine_factory.pauses",
    "vine_factory.policy",
)
DECLARATIONS = {
    "vine.config",
    "vine.names",
    "vine.errors",
    "vine.wire.messages",
    "vine.wire.worker_messages",
    "vine.wire.parts",
    "vine.wire.data",
}
IMPURE = {"zmq", "socket", "threading", "time", "random", "os", "subprocess", "multiprocessing", "asyncio", "sqlite3"}

# What a pure room may use of a module that also looks at the world: functions of their arguments alone.
PURE_PARTS = {"vine.content.hashing.manifest_of_bytes", "vine.content.hashing.chunk_is_good"}

# Who may import whom: each package itself, and those below it.
BELOW = {
    "vine": {"vine", "vine_function_host"},  # which lies below all, and holds how calls lie in bytes
    "vine_function_host": {"vine_function_host"},
    "vine_worker": {"vine", "vine_function_host", "vine_worker"},
    "vine_factory": {"vine", "vine_factory"},
    "benchmarks": {"vine", "vine_function_host", "vine_worker", "vine_factory", "benchmarks"},
}

# Modules without a test file of their own, each with the reason. None of them decides anything: see below.
WITHOUT_TESTS = {
    "vine.errors": "declares classes; what raises them is tested where it is raised",
    "vine.config": "declares limits; each is tested where it is used",
    "vine.parsl.config": "declares options; each is tested where it is used",
    "vine.scheduler.actions": "declares what the scheduler asks for; its tests compare lists of them",
    "vine.scheduler.peers": "declares what the scheduler remembers of clients, factories and failures",
    "vine.scheduler.records": "declares what the journal is told; test_journal.py writes and replays them",
    "vine.scheduler.replayed": "declares what is known of a run whose manager has died; test_replay.py reads it",
    "vine.scheduler.settings": "declares what a scheduler is made with",
    "vine.transfer.events": "declares what a transfer node tells its owner; test_node.py hears them",
    "vine.transfer.objects": "declares what a transfer node needs of a store; those that have it are tested",
    "vine_worker.actions": "declares what the worker's core asks for; its tests compare lists of them",
    "vine_factory.launchers.interface": "declares what launchers can do; test_local.py tests one that does",
}

BANNED = {
    r"\bTODO\b|\bFIXME\b|\bXXX\b": "unfinished work belongs into an issue",
    r"NotImplementedError": "a stub promises what is not there",
    r"(?<![\w.])/(work|root|home)/\w": "a path of the machine that it was built on",
    r"/tmp/(venv|work)": "a path of the machine that it was built on",
    r"except (Base)?Exception:\s*pass\b": "an error that nobody hears of",
    r"\bprint\((?=.*#\s*debug)|\bbreakpoint\(\)|\bpdb\b": "left over from debugging",
}


def modules() -> dict[str, Path]:
    """Every module of the product by its dotted name."""
    found = {}
    for package, folder in SOURCES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            found[".".join((package, *(part for part in parts if part != "__init__")))] = path
    return found


MODULES = modules()
TEST_FILES = sorted((ROOT / "tests").rglob("*.py"))
every_module = pytest.mark.parametrize("name", MODULES)
every_file = pytest.mark.parametrize(
    "path", [*MODULES.values(), *TEST_FILES], ids=lambda path: str(path.relative_to(ROOT))
)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def imports_of(name: str) -> Iterator[str]:
    """The dotted names of all that a module imports when it runs, wherever in its text."""
    path = MODULES[name]
    for node in _run_time_nodes(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} line {node.lineno}: imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _run_time_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker sees."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            continue
        yield from _run_time_nodes(child)


def room_of(name: str) -> str | None:
    """The pure room that a module belongs to."""
    return next((room for room in PURE if name == room or name.startswith(f"{room}.")), None)


def module_of(imported: str) -> str | None:
    """The module of ours that an imported name is or lies in; packages hold no code."""
    candidates = (imported, imported.rpartition(".")[0])
    return next((name for name in candidates if name in MODULES and MODULES[name].name != "__init__.py"), None)


# --- who may know whom ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in MODULES if room_of(name)])
def test_pure_rooms_import_nothing_that_looks_at_the_world(name: str) -> None:
    looks = {imported for imported in imports_of(name) if imported.split(".")[0] in IMPURE}
    assert not looks, f"{name} decides, so the world comes to it as arguments; it imports {sorted(looks)}"


@pytest.mark.parametrize("name", [name for name in MODULES if room_of(name)])
def test_pure_rooms_use_only_declarations_and_each_other(name: str) -> None:
    used = {module for part in imports_of(name) if part not in PURE_PARTS and (module := module_of(part))}
    impure = {module for module in used if not room_of(module) and module not in DECLARATIONS}
    assert not impure, f"{name} would look at the world through {sorted(impure)}"


def test_every_pure_room_is_there() -> None:
    missing = {room for room in PURE if not any(room_of(name) == room for name in MODULES)}
    assert not missing, f"{sorted(missing)} are named as pure here, and do not exist"


@every_module
def test_imports_point_downward(name: str) -> None:
    allowed = BELOW[name.split(".")[0]]
    ours = {imported for imported in imports_of(name) if imported.split(".")[0] in SOURCES}
    upward = {imported for imported in ours if imported.split(".")[0] not in allowed}
    assert not upward, f"{name} may import {sorted(allowed)} only; it imports {sorted(upward)}"


@every_module
def test_nobody_imports_the_tests(name: str) -> None:
    assert not [imported for imported in imports_of(name) if imported.split(".")[0] == "tests"]


@pytest.mark.parametrize("name", [name for name in MODULES if name != "vine.wire.sockets"])
def test_sockets_are_made_in_one_file_only(name: str) -> None:
    calls = [node for node in ast.walk(tree_of(MODULES[name])) if isinstance(node, ast.Call)]
    made = {ast.unparse(call.func) for call in calls} & {"zmq.Context", "zmq.Context.instance", "zmq.Socket"}
    assert not made, f"{name} calls {sorted(made)}: contexts and their options belong to vine/wire/sockets.py"


# --- everything is where it is looked for --------------------------------------------------------


def test_every_package_is_installed() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    listed = set(setup["options"]["packages"].split())
    there = {name for name, path in MODULES.items() if path.name == "__init__.py" and not name.startswith("benchmarks")}
    assert listed == there, "setup.cfg's packages and the folders with an __init__.py differ"


@every_module
def test_every_folder_with_modules_is_a_package(name: str) -> None:
    assert (MODULES[name].parent / "__init__.py").exists(), f"{name} would not be installed"


def test_every_command_has_its_main() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    for line in setup["options.entry_points"]["console_scripts"].strip().splitlines():
        command, target = (part.strip() for part in line.split("="))
        module, function = target.split(":")
        assert module in MODULES, f"{command} is said to be {target}, and there is no such module"
        defined = {node.name for node in tree_of(MODULES[module]).body if isinstance(node, ast.FunctionDef)}
        assert function in defined, f"{command} is said to be {target}, and there is no such function"


@every_module
def test_every_module_has_its_test_file(name: str) -> None:
    path = MODULES[name]
    if path.name in ("__init__.py", "__main__.py"):
        return  # They name and start what is tested elsewhere.
    expected = file_that_tests(name)
    if name in WITHOUT_TESTS:
        assert not expected.exists(), f"{name} has its test file: take it off the list of those without"
    else:
        assert expected.exists(), f"{name} should be tested in {expected.relative_to(ROOT)}"


def file_that_tests(name: str) -> Path:
    package, *rooms, module = name.split(".")
    return (ROOT / "tests" / TEST_ROOMS[package]).joinpath(*rooms, f"test_{module}.py")


@pytest.mark.parametrize("name", WITHOUT_TESTS)
def test_those_without_tests_only_declare(name: str) -> None:
    assert name in MODULES, f"{name} is excused here, and does not exist"
    deciding = [
        n for n in _run_time_nodes(tree_of(MODULES[name])) if isinstance(n, (ast.If, ast.For, ast.While, ast.Try))
    ]
    assert not deciding, f"{name} decides something in line {deciding[0].lineno}: that wants a test"


def test_the_function_host_needs_the_standard_library_alone() -> None:
    theirs = {"dill"}  # of the environment, else brought by the worker
    names = (name for module in MODULES if module.startswith("vine_function_host") for name in imports_of(module))
    imported = {name.split(".")[0] for name in names}
    assert imported - set(sys.stdlib_module_names) - {"vine_function_host"} == theirs


# --- small enough to be read ---------------------------------------------------------------------


@every_file
def test_no_file_is_too_long(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= LINES_A_FILE_MAX, f"{lines} lines: split it by the question that it answers"


def long_functions(path: Path) -> dict[str, int]:
    """The lines of those that are longer than functions are here, by file, class and name."""
    nodes = list(ast.walk(tree_of(path)))
    owners = {id(part): f"{node.name}." for node in nodes if isinstance(node, ast.ClassDef) for part in node.body}
    functions = [node for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    lines = {
        f"{path.relative_to(ROOT)}:{owners.get(id(f), '')}{f.name}": (f.end_lineno or f.lineno) - f.lineno + 1
        for f in functions
    }
    return {name: number for name, number in lines.items() if number > LINES_A_FUNCTION_MAX}


@every_file
def test_no_function_is_too_long(path: Path) -> None:
    long = {name: number for name, number in long_functions(path).items() if name not in LONGER}
    assert not long, f"longer than {LINES_A_FUNCTION_MAX} lines: {long}"


@pytest.mark.parametrize("name", LONGER)
def test_functions_that_may_be_longer_are(name: str) -> None:
    assert name in long_functions(ROOT / name.partition(":")[0]), f"{name} needs no exception any more: take it off"


# --- words ---------------------------------------------------------------------------------------


@every_module
def test_every_module_says_first_what_it_is_for(name: str) -> None:
    path = MODULES[name]
    docstring = ast.get_docstring(tree_of(path))
    assert docstring, f"{name} does not say which question it answers"
    first = docstring.splitlines()[0]
    assert first[0].isupper() and first.endswith((".", "?")), f"{name}: its first line is no sentence: {first!r}"


@every_file
def test_no_banned_words(path: Path) -> None:
    if path == Path(__file__):
        return  # It has to name them.
    text = path.read_text()
    found = {match.group(): why for pattern, why in BANNED.items() for match in re.finditer(pattern, text)}
    assert not found


@pytest.mark.parametrize("path", TEST_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_tests_neither_sleep_nor_are_skipped_nor_tried_again(path: Path) -> None:
    # A loop that looks until it sees something may rest between two looks: nothing depends on how long.
    resting = {id(node.body[0]) for node in ast.walk(tree_of(path)) if isinstance(node, ast.While)}
    statements = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.stmt) and id(node) not in resting]
    sleeps = [node.lineno for node in statements if ast.unparse(node).startswith(("time.sleep(", "sleep("))]
    assert not sleeps, f"it sleeps in the lines {sleeps}"
    marks = {ast.unparse(node) for node in ast.walk(tree_of(path)) if isinstance(node, ast.Attribute)}
    banned = {"pytest.skip", "pytest.importorskip", "pytest.mark.skip", "pytest.mark.skipif", "pytest.mark.xfail"}
    assert not marks & (banned | {"pytest.mark.flaky"})


# --- limits --------------------------------------------------------------------------------------


def limits() -> dict[str, ast.Assign]:
    """The constants of config.py, and where each is set."""
    settings = [node for node in tree_of(MODULES["vine.config"]).body if isinstance(node, ast.Assign)]
    return {target.id: node for node in settings for target in node.targets if isinstance(target, ast.Name)}


def test_no_limit_is_set_twice() -> None:
    settings = [node for node in tree_of(MODULES["vine.config"]).body if isinstance(node, ast.Assign)]
    names = Counter(ast.unparse(target) for node in settings for target in node.targets)
    twice = [name for name, times in names.items() if times > 1]
    assert not twice, f"{twice} are set again further down, and the first reason is void"


@cache
def limits_used() -> frozenset[str]:
    """The limits that the product reads: as `config.NAME`, or by name within config.py itself."""
    used = set()
    for name, path in MODULES.items():
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value).split(".")[-1] == "config":
                used.add(node.attr)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and name == "vine.config":
                used.add(node.id)
    return frozenset(used)


@pytest.mark.parametrize("limit", limits())
def test_every_limit_is_used(limit: str) -> None:
    assert limit in limits_used(), f"config.{limit} limits nothing"


@cache
def comments_of_config() -> frozenset[int]:
    """The lines of config.py that have a comment."""
    tokens = tokenize.generate_tokens(io.StringIO(MODULES["vine.config"].read_text()).readline)
    return frozenset(token.start[0] for token in tokens if token.type == tokenize.COMMENT)


@pytest.mark.parametrize("limit", limits())
def test_every_limit_has_its_reason(limit: str) -> None:
    setting = limits()[limit]
    lines = range(setting.lineno, (setting.end_lineno or setting.lineno) + 1)
    assert comments_of_config().intersection(lines), f"config.{limit} does not say why it is what it is"
