"""Do calls get to hosts, and do hosts' news mean for them what it should?"""

from __future__ import annotations

from tests.worker.world import FINE, FUNCTION, TREE, TWO, World, assignment, starts
from vine import config
from vine.names import AttemptId
from vine.wire.parts import Outcome, Resources, TaskKind
from vine.wire.worker_messages import CancelAttempts, DropObjects, ObjectsEvicted, TasksStarted
from vine_worker import actions as act


def test_calls_reuse_hosts_of_their_kind_and_replace_idle_ones_of_another() -> None:
    world = World(held=(FUNCTION, TREE))
    first = world.run(assignment(1), assignment(2))
    assert [action.host for action in first if isinstance(action, act.StartHost)] == [1, 2]
    world.hear(act.HostReady(1), act.HostReady(2))
    world.hear(act.CallsEnded(1, ((AttemptId(1, 1), FINE),)), act.CallsEnded(2, ((AttemptId(1, 2), FINE),)))
    assert world.run(assignment(3)) == [act.RunCall(2, assignment(3))]
    other = world.run(assignment(4, environment=TREE))
    assert act.EndHost(1, force=False) in other
    assert [action.host for action in other if isinstance(action, act.StartHost)] == [3]


def busy_world(calls: int) -> World:
    """Both slots run a short call; the others were handed to their hosts."""
    world = World()
    world.run(assignment(1), assignment(2))
    world.hear(act.HostReady(1), act.HostReady(2))
    world.hear(act.CallsEnded(1, ((AttemptId(1, 1), FINE),)), act.CallsEnded(2, ((AttemptId(1, 2), FINE),)))
    world.results()
    world.run(*(assignment(number) for number in range(3, 3 + calls)))
    return world


def test_short_calls_are_handed_to_busy_hosts_ahead_of_time_and_spread_over_them() -> None:
    world = busy_world(6)
    assert [len(host.calls) for host in world.core.pool.hosts.values()] == [3, 3]


def test_no_call_is_handed_ahead_to_a_gpu_for_which_another_attempt_waits() -> None:
    """Else it would wait for as long as short calls come."""
    # given a short call on the only GPU, and a command that waits for it
    world = World(capacity=Resources(cores=3, gpus=1))
    on_gpu = Resources(cores=1, gpus=1)
    world.run(assignment(1, allotment=on_gpu))
    world.hear(act.HostReady(1))
    world.hear(act.CallsEnded(1, ((AttemptId(1, 1), FINE),)))
    world.run(assignment(2, allotment=on_gpu), assignment(3, TaskKind.COMMAND, allotment=on_gpu))
    # when another short call comes
    world.run(assignment(4, allotment=on_gpu))
    # then it waits behind the command
    assert list(world.core.pool.hosts[1].calls) == [AttemptId(1, 2)]
    assert starts(world.hear(act.CallsEnded(1, ((AttemptId(1, 2), FINE),)))) == [3]


def test_calls_that_want_a_fork_have_hosts_of_their_own() -> None:
    world = World()
    first = world.run(assignment(1), assignment(2, TaskKind.FORK))
    kinds = [(action.host, action.kind.forks) for action in first if isinstance(action, act.StartHost)]
    assert kinds == [(1, False), (2, True)]
    world.hear(act.HostReady(1), act.HostReady(2))
    world.hear(act.CallsEnded(1, ((AttemptId(1, 1), FINE),)), act.CallsEnded(2, ((AttemptId(1, 2), FINE),)))
    world.run(assignment(3), assignment(4, TaskKind.FORK))
    world.run(*(assignment(number, TaskKind.FORK) for number in (5, 6)))
    assert [len(world.core.pool.hosts[host].calls) for host in (1, 2)] == [1, 3]


def test_a_host_is_handed_so_many_calls_as_it_can_fork_for_in_the_time() -> None:
    """However short they are: else most of them would have to come back."""
    world, short = World(), act.Ending(Outcome.SUCCESS, value=b"P", run_s=1e-5)
    world.run(assignment(1, TaskKind.FORK, allotment=TWO))
    world.hear(act.HostReady(1), act.CallsEnded(1, ((AttemptId(1, 1), short),)))
    world.run(*(assignment(number, TaskKind.FORK, allotment=TWO) for number in range(2, 40)))
    assert 5 < len(world.core.pool.hosts[1].calls) <= config.calls_ahead_s / config.fork_s


def test_calls_of_unknown_length_wait_at_the_worker() -> None:
    world = World()
    world.run(assignment(1), assignment(2))
    world.hear(act.HostReady(1), act.HostReady(2))
    assert starts(world.run(assignment(3))) == []


def test_calls_that_were_handed_out_come_back_from_a_host_whose_call_is_long() -> None:
    world = busy_world(4)
    assert act.TakeBack(1) in world.wait(config.calls_ahead_s)
    world.hear(act.CallsReturned(1, (AttemptId(1, 5),)), act.CallsReturned(2, (AttemptId(1, 6),)))
    long = act.Ending(Outcome.SUCCESS, value=b"P", run_s=10.0)
    assert starts(world.hear(act.CallsEnded(2, ((AttemptId(1, 3), long),)))) == [5]


def test_the_time_limit_of_a_call_counts_from_its_own_start() -> None:
    world = World()
    limited = assignment(1, time_limit_s=0.2)
    world.run(limited)
    assert world.core.next_deadline() == config.host_start_max_s
    world.now = 5.0
    world.hear(act.HostReady(1))
    assert world.core.next_deadline() == 5.2
    assert world.wait(0.2) == [act.TakeBack(1)]
    assert world.hear(act.CallsReturned(1, ())) == [act.EndHost(1, force=False)]
    assert world.wait(config.stop_grace_s) == [act.EndHost(1, force=True)]
    world.hear(act.HostEnded(1, act.Ending(Outcome.KILLED), ()))
    assert world.outcomes() == [(1, Outcome.TIME_LIMIT)]


def test_a_call_that_was_handed_ahead_is_cancelled_without_harm_to_others() -> None:
    world = busy_world(4)
    assert world.hear(CancelAttempts((AttemptId(1, 6),))) == [act.TakeBack(2)]
    world.hear(act.CallsReturned(2, (AttemptId(1, 6),)))
    assert world.outcomes() == [(6, Outcome.CANCELLED)]


def test_the_death_of_a_host_is_the_end_of_its_running_call_alone() -> None:
    world = busy_world(4)
    dead = act.Ending(Outcome.KILLED, message="killed by SIGSEGV")
    actions = world.hear(act.HostEnded(1, dead, (AttemptId(1, 5),)))
    assert world.outcomes() == [(4, Outcome.KILLED)]
    assert starts(actions) == [5]


def test_a_host_that_does_not_come_up_fails_the_call_that_it_was_started_for() -> None:
    world = World()
    world.run(assignment(1))
    world.hear(act.HostEnded(1, act.Ending(Outcome.START_FAILED, message="no python"), (AttemptId(1, 1),)))
    assert world.outcomes() == [(1, Outcome.START_FAILED)]


def test_an_interpreter_that_hangs_while_it_starts_is_ended() -> None:
    world = World()
    world.run(assignment(1))
    assert world.wait(config.host_start_max_s) == [act.EndHost(1, force=False)]


def test_a_host_that_is_ended_before_it_came_up_gets_no_calls_any_more() -> None:
    world = World()
    world.run(assignment(1))
    world.hear(CancelAttempts((AttemptId(1, 1),)), act.CallsReturned(1, (AttemptId(1, 1),)))
    world.wait(config.host_start_max_s)
    assert [action.host for action in world.run(assignment(2)) if isinstance(action, act.StartHost)] == [2]


def test_a_call_that_is_on_its_way_back_is_not_said_to_have_started() -> None:
    world = busy_world(4)
    world.wait(config.calls_ahead_s)
    world.core.flush()
    world.hear(act.CallsEnded(1, ((AttemptId(1, 4), FINE),)))
    told = [action.message for action in world.core.flush() if isinstance(action, act.Send)]
    assert not any(isinstance(message, TasksStarted) for message in told)


def test_an_environment_outlives_its_hosts() -> None:
    world = World(held=(FUNCTION, TREE))
    world.run(assignment(1, environment=TREE))
    world.hear(act.HostReady(1), act.CallsEnded(1, ((AttemptId(1, 1), FINE),)))
    assert world.hear(DropObjects((TREE,))) == [act.EndHost(1, force=False)]
    gone = [act.RemoveObjects((TREE,)), act.Send(ObjectsEvicted((TREE,)))]
    assert world.hear(act.HostEnded(1, FINE, ())) == gone
