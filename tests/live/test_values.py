"""Do shared values, types with serialisers, large memory and results that stay do what users expect, for real?"""

from __future__ import annotations

import array
import concurrent.futures
import os
import pickle
import signal
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

import vine
from tests.live import bodies
from tests.live.helpers import Site, a_site
from tests.waiting import GIVE_UP_S, until
from vine import config

LARGE = 4 * config.inline_bytes_max


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with a_site(tmp_path_factory.mktemp("values") / "site", ["w0", "w1"]) as site:
        yield site


def brought_to_client(site: Site) -> list[str]:
    """Results that have come to the manager's folder for clients or for other tasks."""
    return [path.name for path in (site.run_dir / "staging").iterdir() if path.name.startswith("result-")]


# --- serialisers ---


@pytest.mark.usefixtures("nothing_registered")
def test_serialisers_serve_arguments_and_results_where_nothing_of_vine_is_installed(
    manager: vine.Manager, executor: vine.Executor, tmp_path: Path
) -> None:
    # given an environment with the standard library alone, and a type that refuses to be pickled
    venv.create(tmp_path / "plain", symlinks=True)
    plain = executor.options(environment=manager.declare_environment(tmp_path / "plain"))

    class Sealed:
        def __init__(self, content: Any) -> None:
            self.content = content

        def __reduce__(self) -> NoReturn:
            raise TypeError("it is sealed")

    vine.register_serialiser(Sealed, lambda sealed: sealed.content, Sealed)
    vine.register_serialiser(array.array, pickle.PickleBuffer, lambda memory: array.array("d", memory.cast("d")))

    def join(first: Any, others: list[Any], values: Any) -> tuple[bool, Any, Any]:
        import importlib.util

        values[0] = 5.0
        alone = importlib.util.find_spec("vine") is None and importlib.util.find_spec("numpy") is None
        return alone, type(first)(first.content + others[0].content), values

    # when both kinds are given to a call there, and returned
    alone, sealed, values = plain.submit(join, Sealed("a"), [Sealed("b")], array.array("d", bytes(8 * LARGE))).result(
        GIVE_UP_S
    )
    # then they came as what they were, though vine is not there
    assert alone and type(sealed) is Sealed and sealed.content == "ab"
    assert len(values) == LARGE and values[0] == 5.0


# --- what calls share ---


def test_a_shared_value_is_on_its_worker_once_and_goes_when_nobody_needs_it(
    site: Site, executor: vine.Executor
) -> None:
    given = vine.share(np.arange(500_000))
    assert executor.submit(bodies.total_of, given).result(GIVE_UP_S) == 499_999 * 250_000
    futures = [executor.submit(bodies.facts_of, {"nested": [given]}) for _ in range(20)]
    assert {future.result(GIVE_UP_S) for future in futures} == {(False, False)}
    sizes = [path.stat().st_size for worker in site.workers.values() for path in worker.objects.values()]
    assert 1 <= sizes.count(given.size_bytes) <= len(site.workers)
    path = given.path
    del given
    until(lambda: not os.path.exists(path), "the value's file has gone")


def test_hosts_map_what_is_shared_and_what_one_call_is_given(executor: vine.Executor) -> None:
    values = np.ones(500_000)
    assert "/objects/" in executor.submit(bodies.map_behind, vine.share(values)).result(GIVE_UP_S)
    assert "/objects/" in executor.submit(bodies.map_behind, values).result(GIVE_UP_S)


# --- results that stay ---


def test_a_large_result_that_another_call_takes_does_not_pass_through_manager_or_client(
    site: Site, executor: vine.Executor
) -> None:
    until(lambda: not brought_to_client(site), "what came for the tests before has gone")
    first = executor.options(inputs={}).submit(bodies.random_bytes, LARGE)
    second = executor.submit(bodies.length, first)
    assert second.result(GIVE_UP_S) == LARGE
    concurrent.futures.wait([first], GIVE_UP_S)
    assert brought_to_client(site) == []
    assert len(first.result(GIVE_UP_S)) == LARGE  # Now it is asked for.


def test_a_result_that_went_with_its_worker_is_made_again(tmp_path: Path) -> None:
    with a_site(tmp_path / "site", ["w0"]) as site, site.client() as manager, vine.Executor(manager) as executor:
        # given a large result that stays on a worker, and is lost with it
        first = vine.remote_value(executor.submit(bodies.repeated, "x", LARGE))
        concurrent.futures.wait([first], GIVE_UP_S)
        site.workers["w0"].send(signal.SIGKILL)
        site.worker("w1")
        # when another call takes it, and the client asks for it
        second = executor.submit(bodies.length, first)
        # then it was made again
        assert second.result(GIVE_UP_S) == LARGE
        assert first.result(GIVE_UP_S) == "x" * LARGE


def test_after_the_executors_end_results_that_had_stayed_can_be_read(tmp_path: Path) -> None:
    with vine.Executor(workers=1, cores=1, run_info_path=tmp_path) as executor:
        first = executor.submit(bodies.repeated, "x", LARGE)
        second = executor.submit(bodies.length, first)
    assert (second.result(0), first.result(0)) == (LARGE, "x" * LARGE)
