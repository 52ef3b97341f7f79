from __future__ import annotations

import select
import threading
from concurrent.futures import Future

import pytest

from vine.transfer.jobs import Jobs
from vine.transfer.mailbox import Mailbox


def test_a_job_runs_elsewhere_and_its_result_comes_back_here() -> None:
    mailbox, results = Mailbox(), []
    jobs = Jobs(mailbox, 1, "test")

    def done(future: Future[int]) -> None:
        results.append((future.result(), threading.get_ident()))

    jobs.run(threading.get_ident, done)
    assert jobs.running == 1
    select.select([mailbox], [], [])
    mailbox.make_calls()
    assert jobs.running == 0
    [(worked_on, told_on)] = results
    assert worked_on != told_on == threading.get_ident()
    jobs.close()
    mailbox.close()


def test_an_error_that_nobody_expects_reaches_the_mailboxs_thread() -> None:
    mailbox = Mailbox()
    jobs = Jobs(mailbox, 1, "test")

    def mistaken() -> None:
        raise RuntimeError("our mistake")

    jobs.run(mistaken, lambda future: future.result())
    select.select([mailbox], [], [])
    with pytest.raises(RuntimeError, match="our mistake"):
        mailbox.make_calls()
    jobs.close()
    mailbox.close()
