from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.views.journaled import START_S, JournaledWorld
from vine.errors import UsageError
from vine.views.reading import open_run
from vine.views.report import page, write_report
from vine.wire.parts import Outcome

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"


class Tags(HTMLParser):
    """Which elements a page has, and that each that is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def world(tmp_path: Path) -> JournaledWorld:
    """A run whose users and workers have said what a browser would run if it were let."""
    world = JournaledWorld(tmp_path / "run")
    world.join(HOSTILE, hostname=HOSTILE)
    world.outcome = lambda assignment: Outcome.EXIT_CODE
    world.submit(inputs=(world.local_file(label=HOSTILE),), label=HOSTILE)
    world.settle()
    return world


def test_the_page_holds_all_and_fetches_and_runs_nothing(world: JournaledWorld, tmp_path: Path) -> None:
    with open_run(world.save(HOSTILE)) as run:
        write_report(run, tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    tags = Tags(text)
    assert tags.open == [] and not tags.names & {"script", "img", "link", "iframe", "a", "object"}
    assert not [name for name in tags.attributes if name.startswith("on") or name in ("src", "href")]
    assert "default-src 'none'" in text
    assert text.count("<svg") == 6
    for title in ("In all", "Where the time went", "What failed", "The last failures", "Workers: 1"):
        assert f"<h2>{title}" in text


def test_while_the_run_goes_on_the_page_says_why_tasks_wait(world: JournaledWorld) -> None:
    world.lose(HOSTILE)
    world.submit()
    with open_run(world.save()) as run:
        run.connection.execute("PRAGMA query_only = 0")
        assert "why tasks wait" not in page(run, START_S + 1)
        run.connection.execute("DELETE FROM facts WHERE name = 'ended_s'")
        said = page(run, START_S + 1)
    assert "why tasks wait" in said and re.search(r"waits for .*none is connected", said)


def test_a_report_that_cannot_be_written_is_refused_with_the_remedy(world: JournaledWorld, tmp_path: Path) -> None:
    with open_run(world.save()) as run, pytest.raises(UsageError, match=r"cannot be written .*name another file"):
        write_report(run, tmp_path)
