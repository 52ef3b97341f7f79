from __future__ import annotations

import select
import threading

from vine.transfer.mailbox import Mailbox


def rings(mailbox: Mailbox) -> bool:
    return bool(select.select([mailbox], [], [], 0)[0])


def test_calls_are_made_in_order_by_the_thread_that_asks_for_them() -> None:
    mailbox, made = Mailbox(), []
    threading.Thread(target=lambda: [mailbox.post(made.append, number) for number in range(100)]).start()
    while len(made) < 100:
        select.select([mailbox], [], [])
        mailbox.make_calls()
    assert made == list(range(100))
    mailbox.close()


def test_it_rings_until_the_calls_have_been_made_and_not_after() -> None:
    mailbox = Mailbox()
    assert not rings(mailbox)
    mailbox.post(int)
    mailbox.post(int)
    assert rings(mailbox)
    mailbox.make_calls()
    assert not rings(mailbox)
    mailbox.close()


def test_a_call_that_posts_another_rings_anew() -> None:
    mailbox, made = Mailbox(), []
    mailbox.post(mailbox.post, made.append, "second")
    mailbox.make_calls()
    assert made == [] and rings(mailbox)
    mailbox.make_calls()
    assert made == ["second"]
    mailbox.close()


def test_a_call_posted_after_the_close_is_dropped() -> None:
    mailbox = Mailbox()
    mailbox.close()
    mailbox.post(int)
