"""Members are admitted in their order by what they are to each other; links wait until all are known."""

from __future__ import annotations

import pytest

from vine.content.admission import Admission, Link, name_of, plain_name, shown
from vine.content.tar_stream import Kind, Member
from vine.errors import UnsafeArchive


def member(name: str, kind: Kind = Kind.FILE, target: str = "", mode: int = 0o644) -> Member:
    return Member(name, kind, mode, 0, 0.0, target)


def admit(admission: Admission, *members: Member) -> Admission:
    for each in members:
        admission.admit(name_of(each), each)
    return admission


def test_names_come_out_in_their_plain_form() -> None:
    assert plain_name("./a//b/", "member") == "a/b"
    assert name_of(member("./", Kind.FOLDER)) == ""


@pytest.mark.parametrize(
    "bad",
    [
        member("/etc/passwd"),
        member("a/../../x"),
        member("n" * 4096),
        member("d/" * 200 + "f"),
        member("no-utf-8-\udcff"),
        member("dev", Kind.OTHER),
        member("tool", mode=0o4755),
        member("tool", mode=0o2755),
        member("./"),
    ],
)
def test_what_no_archive_may_have_is_refused_by_itself(bad: Member) -> None:
    with pytest.raises(UnsafeArchive) as caught:
        name_of(bad)
    assert len(str(caught.value)) < 300


def test_links_are_given_out_at_the_end_in_their_order() -> None:
    admission = admit(
        Admission(),
        member("l", Kind.LINK, "d/f"),
        member("d/f"),
        member("h", Kind.HARD_LINK, "d/f"),
        member("h2", Kind.HARD_LINK, "h"),
        member("m", Kind.HARD_LINK, "l"),
    )
    assert admission.links() == [
        Link("l", "d/f", hard=False),
        Link("h", "d/f", hard=True),
        Link("h2", "h", hard=True),
        Link("m", "d/f", hard=False),
    ]


def test_one_that_leads_out_through_a_later_one_is_refused_at_the_end() -> None:
    admission = admit(Admission(), member("z", Kind.LINK, "p/q/../.."), member("p/q", Kind.LINK, ".."))
    with pytest.raises(UnsafeArchive, match="leads out"):
        admission.links()


def test_a_name_in_a_message_is_short_and_in_one_line() -> None:
    assert "\n" not in shown("a\nb")
    assert len(shown("x" * 5000)) < 100
