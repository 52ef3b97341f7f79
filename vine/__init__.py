"""What may a program import from vine: managers, executors, tasks, files, futures and errors."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from vine.mixed import refuse_mixed_install

refuse_mixed_install()

__version__ = "0.1.0"

if TYPE_CHECKING:
    from vine.client.context import load_variable_from_library as load_variable_from_library
    from vine.client.executor import Executor as Executor
    from vine.client.factory import Factory as Factory
    from vine.client.fetches import remote_value as remote_value
    from vine.client.files import File as File
    from vine.client.futures import RemoteTraceback as RemoteTraceback
    from vine.client.futures import VineFuture as VineFuture
    from vine.client.futures_executor import FutureFunctionCall as FutureFunctionCall
    from vine.client.futures_executor import FuturePythonTask as FuturePythonTask
    from vine.client.futures_executor import FuturesExecutor as FuturesExecutor
    from vine.client.libraries import FunctionCall as FunctionCall
    from vine.client.libraries import LibraryTask as LibraryTask
    from vine.client.manager import Manager as Manager
    from vine.client.python_tasks import PythonTask as PythonTask
    from vine.client.python_tasks import PythonTaskNoResult as PythonTaskNoResult
    from vine.client.registered import register_serialiser as register_serialiser
    from vine.client.shared import share as share
    from vine.client.tasks import Task as Task
    from vine.errors import VineError as VineError

# Imported at first use: manager, workers and views import vine too, and need none of these.
_HOMES = {
    "Executor": "vine.client.executor",
    "Factory": "vine.client.factory",
    "File": "vine.client.files",
    "FunctionCall": "vine.client.libraries",
    "FutureFunctionCall": "vine.client.futures_executor",
    "FuturePythonTask": "vine.client.futures_executor",
    "FuturesExecutor": "vine.client.futures_executor",
    "LibraryTask": "vine.client.libraries",
    "Manager": "vine.client.manager",
    "PythonTask": "vine.client.python_tasks",
    "PythonTaskNoResult": "vine.client.python_tasks",
    "RemoteTraceback": "vine.client.futures",
    "Task": "vine.client.tasks",
    "VineError": "vine.errors",
    "VineFuture": "vine.client.futures",
    "load_variable_from_library": "vine.client.context",
    "register_serialiser": "vine.client.registered",
    "remote_value": "vine.client.fetches",
    "share": "vine.client.shared",
}

__all__ = [
    "Executor",
    "Factory",
    "File",
    "FunctionCall",
    "FutureFunctionCall",
    "FuturePythonTask",
    "FuturesExecutor",
    "LibraryTask",
    "Manager",
    "PythonTask",
    "PythonTaskNoResult",
    "RemoteTraceback",
    "Task",
    "VineError",
    "VineFuture",
    "__version__",
    "load_variable_from_library",
    "register_serialiser",
    "remote_value",
    "share",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'vine' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
