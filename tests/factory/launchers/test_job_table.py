"""Are the jobs of a factory told from others', and their logs found?"""

from __future__ import annotations

from pathlib import Path

from tests.factory.made import plan_in
from vine.names import WorkerId
from vine_factory.launchers.job_table import JobTable


def test_jobs_of_others_are_not_noted(tmp_path: Path) -> None:
    table = JobTable(plan_in(tmp_path))
    assert table.note("7", "somebody's", 0) is None
    assert table.note("8", "vine.run.local-4.10", 2) == WorkerId("local-4-12")
    assert table.named([WorkerId("local-4-12"), WorkerId("local-4-13")]) == ["8"]


def test_who_is_gone_is_named_no_more_and_has_its_last_words_once(tmp_path: Path) -> None:
    plan = plan_in(tmp_path)
    table = JobTable(plan)
    table.note("8", "vine.run.local-4.10", 2)
    table.keep(())
    assert table.named([WorkerId("local-4-12")]) == []
    plan.scratch.mkdir()
    (plan.scratch / "vine.run.local-4.10+2.log").write_text("it was so\n")
    assert table.last_words(WorkerId("local-4-12")).startswith("its job has ended: it was so (log: ")
    assert table.last_words(WorkerId("local-4-12")) == "its job has ended"
