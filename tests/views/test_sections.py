from __future__ import annotations

import re

import pytest

from tests.views.journaled import START_S, JournaledWorld, shown
from vine.manager.journal import Journal, file_name
from vine.names import RunId, WorkerId
from vine.views.reading import open_run
from vine.views.sections import sections, status
from vine.wire import messages as m
from vine.wire.parts import CategoryMode, CategorySpec, HostStanding, Measured, Outcome, Policy, Request
from vine.wire.worker_messages import WorkerStatus


def test_a_run_is_shown_with_its_workers_tasks_transfers_and_reasons(
    world: JournaledWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world.join("w1")
    world.submit(inputs=(world.local_file(label="/data/big"),))
    world.submit(inputs=(world.temp(),))
    said = shown(capsys, str(world.save()))
    assert "run run-7 of " in said and "it was enough" in said
    assert "tasks: 1 waiting, 1 staged\n" in said
    assert "workers when it ended: 1\n" in said
    assert "transfers: 1 now, 0 done, 0 failed; 0 B from the manager (0 B/s), 0 B from peers (0 B/s)" in said
    assert (
        "; at most 0 at once from a worker, 0 from the manager (cap 3, and 1 of the manager for small files)\n" in said
    )
    (transfer,) = [line.split() for line in said.splitlines() if "2.1 MB" in line]
    assert transfer[:3] == ["/data/big", "manager", "w1"]
    assert "w1 receives /data/big from manager" in said


def test_who_waits_for_a_slot_or_for_another_worker_is_counted_beside_the_most_that_a_node_has_served(
    world: JournaledWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    # given six hosts of two workers that all need a file which the manager alone may send
    for number in range(12):
        world.join(f"w{number}", host=f"h{number // 2}")
    for name, shared in (("alone", False), ("shared", True)):
        file = world.local_file(name, chunks=12, peer_transfer=shared)
        for _ in range(12):
            world.submit(inputs=(file,), request=Request(cores=0.5))
    # and one that has served two at once
    load = WorkerStatus(0, 0, 0, 0, flows_out=1, flows_out_max=2, malformed=0)
    world.say(load, world.workers[WorkerId("w3")].peer)
    # then both throttles are seen
    said = shown(capsys, str(world.save()))
    assert "at most 2 at once from a worker" in said
    wanting, awaiting = re.search(r"(\d+) wait for a source with a free slot; (\d+) wait for another", said).groups()  # type: ignore[union-attr]
    snapshot = world.core.snapshot(world.now)
    assert (int(wanting), int(awaiting)) == (snapshot["transfers_wanting"], snapshot["transfers_awaiting_mates"])
    assert int(wanting) > 0 and int(awaiting) > 0


def test_the_last_failures_are_shown_with_their_cause_and_log(
    world: JournaledWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world.join("w1")
    world.outcome = lambda assignment: Outcome.EXIT_CODE
    task = world.submit(label="sim")
    world.settle()
    said = shown(capsys, str(world.save()))
    assert "last failures:" in said
    assert f"{task} sim" in said and "exit-code" in said


def test_broadcasts_are_shown_with_their_rate_and_how_near_their_bound_they_came(
    world: JournaledWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    # given one that has taken four times as long as its fastest transfer, and one that waits
    for _ in range(2):
        world.join()
    world.broadcast(world.local_file(label="/data/big"))
    world.now += 0.4
    world.settle()
    world.broadcast(world.temp(label="a temp"), count=3)
    # then
    said = shown(capsys, str(world.save()))
    assert "broadcasts: 2" in said
    ended, waiting = (
        next(line for line in said.splitlines() if line.strip().startswith(n)) for n in ("/data", "a temp")
    )
    assert ended.split() == ["/data/big", "2", "of", "2", "2.1", "MB", "took", "0.4", "s", "10.5", "MB/s", "25%"]
    assert waiting.split()[2:5] == ["0", "of", "3"]


def test_a_manager_that_was_killed_is_told_apart_from_one_that_ended(world: JournaledWorld) -> None:
    world.save()
    journal = Journal(world.run_dir / file_name, RunId("run-7"))  # which forgets that the one before has ended
    with open_run(world.run_dir) as run:
        soon, late = status(run, START_S + 1), status(run, START_S + 600)
    journal.close("")
    assert "runs for" in sections(soon)[0].title
    assert "said nothing for 10 min 0 s" in sections(late)[0].title


def test_many_rows_are_cut_and_the_cut_is_told(world: JournaledWorld, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(30):
        world.join(f"node-{number:02}")
    said = shown(capsys, str(world.save()))
    assert "workers when it ended: 30 (the first 20 below)" in said
    assert "node-19" in said and "node-20" not in said


def test_downloads_are_shown_where_there_are_any(world: JournaledWorld, capsys: pytest.CaptureFixture[str]) -> None:
    assert "downloads:" not in shown(capsys, str(world.save()))


def test_a_download_is_shown_with_who_does_it_and_that_nobody_else_does(
    world: JournaledWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world.join("w1")
    world.submit(inputs=(world.url("https://example.org/data"),))
    world.now += 3
    said = shown(capsys, str(world.save()))
    now, since = "1 now (most at once of one URL: 1), 0 waiting", "0 done, 0 failed, 0 changed since"
    assert f"downloads: {now}, {since}; 0 B from URLs\n" in said
    (row,) = [line.split() for line in said.splitlines() if line.strip().startswith("https://")]
    assert row[:2] == ["https://example.org/data", "w1"]


def test_categories_are_shown_with_what_their_tasks_have_used_and_closed_hosts_with_their_workers(
    world: JournaledWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world.join("w1")
    world.say(m.SetCategory(CategorySpec("fit", CategoryMode.MAX, concurrent_max=2)))
    world.measured = lambda assignment: Measured(1.5, 120.0, 30.0)
    world.submit(policy=Policy(category="fit"))
    world.settle()
    world.submit(policy=Policy(category="fit"))
    world.say(m.SetHosts(("host",), HostStanding.BLOCKED))
    said = shown(capsys, str(world.save()))
    assert "workers when it ended: 1, 1 blocked or drained\n" in said
    (line,) = [line.split() for line in said.splitlines() if line.split()[:1] == ["fit"]]
    assert line == ["fit", "max", "1", "of", "at", "most", "2", "1", "1.5", "120", "MB", "30", "MB"]


def test_a_worker_that_can_prepare_no_task_is_named_with_the_reason(
    world: JournaledWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world.join("w1", cores=3)
    world.join("w2")
    world.outcome = lambda given: Outcome.UNPREPARED
    for _ in range(3):
        world.submit()
    world.settle()
    said = shown(capsys, str(world.save()))
    assert "could not prepare 3 tasks in a row" in said, said


def test_a_worker_that_is_silent_is_told_with_how_long_it_has_been(
    world: JournaledWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = world.join("w1")
    world.join("w2")
    world.pass_time(1.0)
    for _ in range(5):
        world.pass_time(1.0, [silent])
    said = shown(capsys, str(world.save()))
    assert "workers when it ended: 2, 1 silent (w1 for 5.0 s)\n" in said
