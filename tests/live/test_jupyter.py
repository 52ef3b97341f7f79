"""Does vine work in a notebook: a real kernel, with a running event loop, cells that change, and interrupts?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from tests.waiting import GIVE_UP_S


class Notebook:
    """A kernel of this environment, to which cells are given."""

    def __init__(self, folder: Path) -> None:
        self._kernel = KernelManager()
        self._kernel.start_kernel(cwd=str(folder))
        self._client: BlockingKernelClient = self._kernel.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=GIVE_UP_S)

    def run(self, cell: str, interrupt_at: str = "") -> str:
        """What the cell prints, and what it raises; it is interrupted when it has printed this line."""
        said: list[str] = []

        def hear(message: dict[str, dict[str, str]]) -> None:
            said.append(message["content"].get("text", ""))
            if interrupt_at and said[-1].startswith(interrupt_at):
                self._kernel.interrupt_kernel()

        reply = self._client.execute_interactive(cell, timeout=GIVE_UP_S, output_hook=hear)["content"]
        if reply["status"] == "error":
            said.append(f"{reply['ename']}: {reply['evalue']}")
        return "".join(said).strip()

    def close(self) -> None:
        self._client.stop_channels()
        self._kernel.shutdown_kernel()


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    """Its first cell has an executor as users make it: with a manager, a factory and a worker of its own."""
    folder = tmp_path_factory.mktemp("notebook")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR"):
            patch.setenv(name, str(folder / "jupyter"))
        notebook = Notebook(folder)
        try:
            assert notebook.run("import vine\nexecutor = vine.Executor(cores=1)") == ""
            yield notebook
        finally:
            notebook.run("executor.shutdown(cancel_futures=True)")
            notebook.close()


def test_what_is_defined_in_a_cell_travels_and_is_sent_anew_when_it_is_defined_anew(notebook: Notebook) -> None:
    notebook.run("def helper(x):\n    return x + 1\n\ndef f(x):\n    return helper(x)")
    assert notebook.run("print(executor.submit(f, 1).result())") == "2"
    notebook.run("def helper(x):\n    return x + 10")
    assert notebook.run("print(executor.submit(f, 1).result())") == "11"
    notebook.run("def f(x):\n    return -x")
    assert notebook.run("print(list(executor.map(f, [1, 2])))") == "[-1, -2]"


def test_objects_of_a_cells_class_come_back_as_that(notebook: Notebook) -> None:
    notebook.run(
        "class Point:\n    def __init__(self, x):\n        self.x = x\n\ndef moved(p):\n    return Point(p.x + 1)"
    )
    notebook.run("future = executor.submit(moved, Point(1))")
    assert notebook.run("print(type(future.result()) is Point, future.result().x)") == "True 2"


def test_a_cell_may_await_a_call_in_the_kernels_own_event_loop(notebook: Notebook) -> None:
    assert notebook.run("import asyncio\nprint(await asyncio.wrap_future(executor.submit(len, 'abc')))") == "3"
    assert notebook.run("print(executor.submit(len, 'abc').result())") == "3", "and wait for one though that runs"


def test_an_error_in_a_call_is_the_cells(notebook: Notebook) -> None:
    assert notebook.run("executor.submit(lambda: 1 / 0).result()") == "ZeroDivisionError: division by zero"


def test_an_interrupt_ends_the_wait_and_neither_the_call_nor_what_runs_it(notebook: Notebook, tmp_path: Path) -> None:
    # It looks at a file, which tells nobody that it is there, every now and then.
    notebook.run(
        "import pathlib, time\ndef wait(path):\n    while not pathlib.Path(path).exists():\n        time.sleep(0.01)"
    )
    cell = f"future = executor.submit(wait, {str(tmp_path / 'go')!r})\nprint('waits', flush=True)\nfuture.result()"
    assert notebook.run(cell, interrupt_at="waits").split()[:2] == ["waits", "KeyboardInterrupt:"]
    (tmp_path / "go").touch()
    assert notebook.run("print(future.result(), executor.submit(len, 'abc').result())") == "None 3"
