"""Where a function host begins: `python FOLDER/start.py DESCRIPTORS OPTIONS`, by the interpreter of an environment."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vine_function_host.serialiser import Loaded, Serialiser

NAME = "vine_function_host"


def begin() -> int:
    """Runs calls until it is done; returns the exit code."""
    package = type(sys)(NAME)  # Ours under its own name, whatever is installed here or lies beside it.
    package.__path__ = [os.path.dirname(os.path.abspath(__file__))]
    sys.modules[NAME] = package
    sys.path[:] = [folder for folder in sys.path if folder not in package.__path__]

    from vine_function_host.channel import Channel
    from vine_function_host.host import Host, Options
    from vine_function_host.serialiser import Serialiser
    from vine_function_host.words import flush_output

    leave_main()
    options = Options(sys.argv[2])
    serialiser = Serialiser(options.dill)
    if options.zygote:
        from vine_function_host.zygote import Zygote

        exit_code = Zygote(sys.argv[1], serialiser, options).serve()
    else:
        channel = Channel(sys.argv[1], options.frame_bytes)
        functions = _functions_of(options.library, serialiser) if options.library else {}
        exit_code = Host(channel, serialiser, options, functions).serve()
    flush_output()
    return exit_code


def _functions_of(library: str, serialiser: Serialiser) -> dict[bytes, Loaded]:
    from vine_function_host.library import load_library

    return load_library(library, serialiser)


def leave_main() -> None:
    """Gives the name `__main__` to an empty module: functions that dill carried resolve their globals there."""
    sys.modules[f"{NAME}.start"] = sys.modules["__main__"]
    sys.modules["__main__"] = type(sys)("__main__")
    sys.path.insert(0, "")  # As with `python -c`: modules beside the call's inputs.


if __name__ == "__main__":
    exit_code = begin()
    # Threads and exit handlers that calls left behind must not hold up the worker.
    os._exit(exit_code)
