"""Is each object pickled once on its way, and unpickled by nobody between the client and the function host?"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import vine
from tests.live import bodies
from tests.live.bodies import Counted
from tests.live.helpers import a_site, lines_of
from tests.waiting import GIVE_UP_S
from vine import config

pytestmark = pytest.mark.live

ONCE_EACH_WAY = {
    ("pickled", "client"): 1,
    ("unpickled", "host"): 1,
    ("pickled", "host"): 1,
    ("unpickled", "client"): 1,
}


@pytest.fixture(scope="module")
def executor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[vine.Executor]:
    """Manager, worker and hosts are processes of their own; there are two workers, so values change hosts."""
    with (
        a_site(tmp_path_factory.mktemp("once") / "site", ["w0", "w1"]) as site,
        vine.Manager(connection=site.connection) as manager,
        vine.Executor(manager) as executor,
    ):
        yield executor


def counted(notes: Path) -> dict[tuple[str, str], int]:
    """How often it was pickled and unpickled, and by whom."""
    hosts = set(lines_of(Path(f"{notes}.hosts")))
    who = {str(os.getpid()): "client"} | dict.fromkeys(hosts, "host")
    events = (line.split() for line in lines_of(notes))
    return dict(Counter((event, who.get(process, "somebody else")) for event, process in events))


@pytest.mark.parametrize("isolation", ["shared", "fork", "process"])
@pytest.mark.parametrize("size", [0, 2 * config.call_ahead_bytes_max, 2 * config.inline_bytes_max])
def test_an_argument_and_a_result_of_any_size(
    executor: vine.Executor, isolation: str, size: int, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    future = executor.options(isolation=isolation).submit(bodies.pass_on, Counted(str(notes), size))
    assert len(future.result(GIVE_UP_S).filling) == size
    assert counted(notes) == ONCE_EACH_WAY


@pytest.mark.parametrize("beside", ["nested", "future", "nested future", "lambda"])
def test_an_argument_beside_others(executor: vine.Executor, beside: str, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    value: Any = Counted(str(notes))
    other: Any = {
        "nested": None,
        "future": executor.submit(bodies.length, "abc"),
        "nested future": [executor.submit(bodies.length, "abc")],
        "lambda": lambda: 1,
    }[beside]
    executor.submit(bodies.pass_on, [{0: value}] if beside == "nested" else value, other).result(GIVE_UP_S)
    assert counted(notes) == ONCE_EACH_WAY


def test_the_arguments_and_results_of_a_chunk(executor: vine.Executor, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    values = [Counted(str(notes)) for _ in range(4)]
    assert len(list(executor.map(bodies.pass_on, values, chunksize=2))) == 4
    assert counted(notes) == dict.fromkeys(ONCE_EACH_WAY, 4)


def test_a_result_that_another_call_takes_is_unpickled_where_it_is_taken(
    executor: vine.Executor, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    first = executor.submit(bodies.pass_on, Counted(str(notes)))
    second = executor.submit(bodies.pass_on, first)
    second.result(GIVE_UP_S)
    first.result(GIVE_UP_S)
    assert counted(notes) == {
        ("pickled", "client"): 1,
        ("unpickled", "host"): 2,
        ("pickled", "host"): 2,
        ("unpickled", "client"): 2,
    }


def test_a_shared_value_is_pickled_once_for_all_calls_and_read_by_each_that_could_change_it(
    executor: vine.Executor, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    given = vine.share(Counted(str(notes), 2 * config.inline_bytes_max))
    for _ in range(3):
        executor.submit(bodies.length_and_note, str(notes), [given]).result(GIVE_UP_S)
    assert counted(notes) == {("pickled", "client"): 1, ("unpickled", "host"): 3}


def test_in_forks_a_shared_value_is_read_once_by_their_host(executor: vine.Executor, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    given = vine.share(Counted(str(notes)))
    forking = executor.options(isolation="fork")
    hosts = {forking.submit(bodies.parent_and_note, str(notes), given).result(GIVE_UP_S) for _ in range(4)}
    assert counted(notes) == {("pickled", "client"): 1, ("unpickled", "host"): len(hosts)}


@pytest.mark.usefixtures("nothing_registered")
def test_a_registered_serialiser_is_asked_once_each_way(executor: vine.Executor, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    bodies.register_noting(str(notes))
    executor.submit(bodies.pass_noting_on, str(notes), bodies.Noting(5)).result(GIVE_UP_S)
    assert counted(notes) == ONCE_EACH_WAY


def test_a_result_that_stays_is_read_where_it_is_taken_and_by_nobody_else(
    executor: vine.Executor, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    first = vine.remote_value(executor.submit(bodies.make_counted, str(notes), 2 * config.inline_bytes_max))
    assert executor.submit(bodies.length_and_note, str(notes), [first]).result(GIVE_UP_S) == 1
    assert counted(notes) == {("pickled", "host"): 1, ("unpickled", "host"): 1}


def test_an_exception_is_read_by_its_host_once_to_see_that_it_can_be(executor: vine.Executor, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    error = executor.submit(bodies.counting_error, Counted(str(notes))).exception(GIVE_UP_S)
    assert type(error) is ValueError
    assert counted(notes) == ONCE_EACH_WAY | {("unpickled", "host"): 2}
