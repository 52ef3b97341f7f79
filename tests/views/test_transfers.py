from __future__ import annotations

from pathlib import Path

from tests.views.journaled import START_S, JournaledWorld
from vine.views.reading import open_run
from vine.views.transfers import Movement, movements, movements_to
from vine.wire.parts import FetchFault


def moved(world: JournaledWorld) -> list[Movement]:
    with open_run(world.save()) as run:
        return list(movements(run.connection))


def test_each_transfer_is_told_with_its_ends_its_size_and_its_time(tmp_path: Path) -> None:
    # given an object that one worker has from the manager, and another from that one
    world = JournaledWorld(tmp_path / "run", workers=0)
    world.join("w1")
    file_id = world.local_file(label="/data/big")
    world.submit(inputs=(file_id,))
    world.now += 3
    world.settle()
    world.join("w2")
    world.lose("w1")
    world.submit(inputs=(file_id,))
    world.settle()
    first, second = moved(world)
    assert (first.label, first.sources, first.destination, first.bytes) == ("/data/big", "manager", "w1", 8 * 262144)
    assert (first.bytes_from_manager, first.fault) == (first.bytes, None)
    assert first.ended_s == START_S + 3 and round(first.ended_s - first.begun_s, 3) == 0.1
    assert second.destination == "w2"


def test_a_transfer_that_failed_says_why_and_a_result_is_known_by_its_task(tmp_path: Path) -> None:
    world = JournaledWorld(tmp_path / "run", workers=1)
    world.submit(inputs=(world.local_file(label="/data/big"),))
    (worker,) = world.workers.values()
    world.fetch_ends(worker, next(iter(worker.fetching)), FetchFault.SOURCE_GONE)
    world.large_values = True
    task = world.submit(label="fit")
    world.settle()
    found = moved(world)
    assert found[0].fault == "source-gone"
    results = [movement for movement in found if movement.destination == "manager"]
    assert f"result of task {task} (fit)" in [movement.label for movement in results]


def test_a_download_is_told_by_what_its_url_is_called(tmp_path: Path) -> None:
    world = JournaledWorld(tmp_path / "run")
    world.join("w1")
    archive = world.url("https://example.org/data?token=secret", label="https://example.org/data")
    world.submit(inputs=(world.untar(archive),))
    world.settle()
    (found,) = moved(world)
    assert (found.label, found.sources, found.destination) == ("https://example.org/data",) * 2 + ("w1",)
    with open_run(world.run_dir) as run:
        assert run.connection.execute("SELECT download FROM transfers").fetchall() == [(1,)]


def test_what_came_for_one_task_is_found_by_its_objects_its_worker_and_the_time(tmp_path: Path) -> None:
    world = JournaledWorld(tmp_path / "run")
    world.join("w1")
    world.submit(inputs=(world.local_file("a", label="/data/a"), world.local_file("b", label="/data/b")))
    world.settle()
    with open_run(world.save()) as run:
        (first, second) = movements(run.connection)
        assert first.object_id is not None
        asked = run.connection, "w1", [first.object_id]
        assert movements_to(*asked, START_S, START_S + 1) == [first]
        assert movements_to(*asked, START_S + 1, START_S + 2) == []
        assert movements_to(run.connection, "w2", [first.object_id], START_S, START_S + 1) == []
        assert {first.label, second.label} == {"/data/a", "/data/b"}
