"""What becomes of those who got something from a node that says nothing any more, and of that node?"""

from __future__ import annotations

from tests.transfer.named import backups, edge, edges
from tests.transfer.test_forest import feeds_in, grown, sources
from tests.transfer.test_receiver import acts, begun, deliver, progress, wanted
from vine import config
from vine.names import WorkerId
from vine.transfer.forest import Forest
from vine.transfer.receiver import Receiver, ReportSlow, SendWant
from vine.wire.data import RefusalReason

# --- what a receiver says of a silent source ---


def silent_source() -> Receiver:
    """The source of stripe 0 has sent all that it is known to have, and then nothing: its backup has been called."""
    receiver = begun("abc", "d..", count=900)
    progress(receiver, (0,), 0.0, 0.01, 3)
    progress(receiver, (1, 2), 0.0, 0.3, 900)
    assert receiver.wanted(edge("d"))
    return receiver


def test_a_silent_source_is_blamed_once_its_busy_backup_says_that_it_has_more() -> None:
    receiver = silent_source()
    first = min(receiver.wanted(edge("d")))
    # A few chunks, so that it is not what a source has got at this moment.
    few = first + 3 * (config.slow_window_chunks // 2 - 1)
    refused = receiver.refused(3, RefusalReason.BUSY, 0.3, (first, few))
    assert acts(refused, ReportSlow) == []
    receiver = silent_source()
    refused = receiver.refused(3, RefusalReason.BUSY, 0.3, (first, few + 3))
    assert acts(refused, ReportSlow) == [ReportSlow(edge("a"), silent=True)]


def test_a_silent_source_is_blamed_once_its_backup_sends_what_it_was_asked_for() -> None:
    receiver = silent_source()
    first = min(receiver.wanted(edge("d")))
    assert acts(receiver.chunk(3, first, None, 0.3), ReportSlow) == [ReportSlow(edge("a"), silent=True)]


def test_that_a_backup_which_was_named_later_has_more_says_nothing_of_a_silent_source() -> None:
    receiver = silent_source()
    receiver.change(edges("abc"), backups("e.."), 0.3)
    progress(receiver, (1, 2), 0.3, 0.02, 900)
    for index in receiver.wanted(edge("e")):
        assert acts(receiver.chunk(4, index, None, 0.33), ReportSlow) == []


def test_a_busy_source_is_to_be_asked_again_after_its_pause() -> None:
    receiver = begun("a", count=20)
    assert receiver.retry_at() is None
    receiver.refused(0, RefusalReason.BUSY, 1.0)
    assert receiver.retry_at() == 1.0 + config.busy_retry_first_s


def test_what_a_backup_does_not_send_is_asked_of_the_source_again_in_the_end() -> None:
    # given a source that sends again after its backup was called, which is dead
    receiver = begun("abc", "d..", count=120)
    progress(receiver, (0,), 0.0, 0.01, 3)
    progress(receiver, (1, 2), 0.0, 0.25, 900)
    alone = set(receiver.wanted(edge("d"))) - set(receiver.wanted(edge("a")))
    # when it has sent all that it was asked for itself
    for step, index in enumerate(receiver.wanted(edge("a"))):
        deliver(receiver, index, 0.3 + step / 100, have=900)
    while rest := receiver.wanted(edge("b")) + receiver.wanted(edge("c")) + receiver.wanted(edge("a")):
        if index := next((one for one in rest), None):
            deliver(receiver, index, 0.5, have=900, source=index % 3)
    again = wanted([a for a in receiver.tick(1.5) if isinstance(a, SendWant) and a.source == edge("a")])
    # then it is asked for the rest too
    assert alone and alone <= set(again) | {0}


def test_nobody_is_judged_by_a_time_in_which_the_node_itself_stood_still() -> None:
    for late_s in (0.0, 2 * config.late_loop_s):
        receiver = begun("abc", count=900)
        progress(receiver, (0, 1, 2), 0.0, 0.1, 900)
        actions = progress(receiver, (1, 2), 0.1, 0.04, 900)
        # What has come during a pause is taken at once, and one source's before another's.
        actions += progress(receiver, (1, 2), 0.14 + late_s, 0.04, 900)
        assert bool(acts(actions, ReportSlow)) == (not late_s)


# --- wants that are said again ---


def test_wants_are_said_again_only_when_no_chunk_has_come_for_long() -> None:
    receiver = begun("a", count=90)
    deliver(receiver, 0, config.want_again_s - 0.1, have=900)
    assert not acts(receiver.tick(config.want_again_s + 0.1), SendWant)
    assert acts(receiver.tick(2 * config.want_again_s), SendWant)


def test_each_time_wants_are_said_again_it_is_after_a_longer_pause() -> None:
    receiver = begun("a", count=90)
    at = [step / 10 for step in range(100) if acts(receiver.tick(step / 10), SendWant)]
    first, *later = [after - before for before, after in zip([0.0, *at], at, strict=False)]
    assert first == config.want_again_s and later and min(later) >= config.want_again_max_s - 0.01


def test_on_a_slow_way_wants_are_said_again_later() -> None:
    receiver = begun("a", count=90)
    for index in range(8):
        deliver(receiver, index, 1.5 * (index + 1), have=900)
    assert not acts(receiver.tick(12.0 + 1.5 * config.want_again_s), SendWant)
    assert acts(receiver.tick(12.0 + config.want_again_max_s), SendWant)


# --- what a forest does with it ---


def interior(forest: Forest) -> tuple[WorkerId, list[WorkerId]]:
    """A node that feeds three others, and these."""
    tree = sources(forest)
    busy = next(node for node, stripes in feeds_in(forest).items() if list(tree.values()).count(node) == 3 and stripes)
    return busy, [child for (child, _), parent in tree.items() if parent == busy]


def test_whom_two_children_do_not_hear_is_taken_for_dead_and_takes_nothing_either() -> None:
    # given a forest with hardly a slot to spare, and a node of which two children hear nothing
    forest = grown(30)
    dead, children = interior(forest)
    forest.accuse(dead, children[0], silent=True)
    assert not forest.is_suspended(dead)
    forest.accuse(dead, children[1], silent=True)
    # then its place is given up, and nobody is ever put below it, whoever else is slow
    assert forest.is_suspended(dead) and not forest.sources(dead) and list(forest.waiting()) == [dead]
    for number in range(25):
        if WorkerId(f"w{number}") != dead:
            forest.demote(WorkerId(f"w{number}"))
    assert dead not in sources(forest).values() and len(sources(forest)) == 87
    # when it turns out to live, it is fed and feeds nobody who has another
    forest.leave(dead)
    forest.join(dead, 0.0)
    assert len(forest.sources(dead)) == 3 and not forest.is_suspended(dead) and forest.is_slow(dead)


def test_who_has_it_all_is_not_taken_for_dead_but_feeds_nobody() -> None:
    forest = grown(30)
    silent, children = interior(forest)
    forest.finish(silent)
    for child in children[:2]:
        forest.accuse(silent, child, silent=True)
    assert forest.is_slow(silent) and not forest.is_suspended(silent) and not list(forest.waiting())


# --- a machine that is too busy ---


def test_nobody_is_judged_by_a_time_in_which_the_node_itself_waited_for_a_processor() -> None:
    for waited_s in (0.0, 0.05):
        receiver = begun("abc", "d..", count=900)
        progress(receiver, (0, 1, 2), 0.0, 0.1, 900)
        actions = progress(receiver, (1, 2), 0.1, 0.03, 900)
        receiver.waited(waited_s)
        # A source that sends nothing of what it has for twice the window, for half of which we were not running.
        actions += progress(receiver, (1, 2), 0.13, 0.07, 900)
        assert bool(acts(actions, ReportSlow)) == (not waited_s)
        # and it is judged all the same, when we run
        actions += progress(receiver, (1, 2), 0.2, 0.3, 900)
        assert acts(actions, ReportSlow)


def test_the_last_chunk_is_not_wanted_twice_because_the_node_waited_for_a_processor() -> None:
    for waited_s in (0.0, 0.1):
        receiver = begun("ab", count=20)
        for step in range(10):
            for source in (0, 1):
                if (step, source) != (9, 0):
                    deliver(receiver, 2 * step + source, (step + 1) / 10, source=source)
        receiver.waited(waited_s)
        assert bool(acts(receiver.tick(1.11), SendWant)) == (not waited_s)
        assert waited_s == 0.0 or acts(receiver.tick(1.6), SendWant)
