"""What a random program says, and what its bodies do."""

from __future__ import annotations

import random

from benchmarks.simulator.faults.asking import Asking, Premises
from benchmarks.simulator.faults.client import FaultyClient
from benchmarks.simulator.faults.journal import Staging
from benchmarks.simulator.faults.work import Work
from tests.benchmarks.simulator.faults.test_behaviours import behaviours
from tests.benchmarks.simulator.faults.test_client import WELCOME
from vine.wire import messages as wire
from vine.wire.parts import Resources


def a_program(seed: int, tasks: int = 40) -> tuple[Work, list[wire.FromClient]]:
    said: list[wire.FromClient] = []
    client = FaultyClient("c", lambda message, again: said.append(message), Staging())
    client.hear(WELCOME)
    dice = random.Random(seed)
    asking = Asking(dice, Premises(Resources(2, 1000, 1000, 1), 4, ("h0", "h1"), True, lambda: 1e9))
    work = Work(client, client.say, dice, behaviours(), tasks, asking)
    while work.tasks_left > 0:
        work.step()
    said += client.reopened()
    return work, said


def test_programs_say_all_that_a_client_may_and_equal_seeds_say_the_same() -> None:
    kinds = {type(message) for seed in range(30) for message in a_program(seed)[1]}
    others = {wire.ClientHello, wire.ClientBye, wire.BringResult}  # ... by the cluster, or when it has heard of an end
    assert kinds | others == set(wire.FromClient.__args__)
    assert a_program(7)[1] == a_program(7)[1] != a_program(8)[1]


def test_a_program_has_so_many_tasks_and_each_has_its_behaviour() -> None:
    work, said = a_program(3)
    submitted = [spec for message in said if isinstance(message, wire.SubmitTasks) for spec in message.tasks]
    assert len(submitted) == 40 == len(work.tasks)
    assert {spec.task_id for spec in submitted} <= work._behaviours.of_task.keys()


def test_the_last_wave_makes_and_takes_a_file_and_a_result() -> None:
    work, said = a_program(3)
    del said[:]
    wave = work.last_wave()
    (submitted,) = [message for message in said if isinstance(message, wire.SubmitTasks)]
    assert {spec.task_id for spec in submitted.tasks} == wave and any(spec.depends for spec in submitted.tasks)
