"""Can a URL be declared, and what of it is shown?"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vine import config
from vine.errors import UsageError
from vine.urls import checked_url, label_of


@pytest.mark.parametrize(
    ("url", "taken", "label"),
    [
        ("https://example.org/a.tar", "https://example.org/a.tar", "https://example.org/a.tar"),
        ("HTTP://Example.org:80/a#part", "http://Example.org:80/a", "http://Example.org:80/a"),
        ("https://me:secret@example.org/a?key=secret", None, "https://example.org/a?..."),
        ("http://[::1]:8000/a", "http://[::1]:8000/a", "http://[::1]:8000/a"),
        ("file:///data/a%20b", "file:///data/a%20b", "file:///data/a%20b"),
        ("file:/data/a", "file:///data/a", "file:///data/a"),
        ("file://localhost/data/a", "file://localhost/data/a", "file://localhost/data/a"),
    ],
)
def test_urls_are_taken_and_shown_without_secrets(url: str, taken: str | None, label: str) -> None:
    assert checked_url(url) == (taken or url)
    assert label_of(checked_url(url)) == label


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("ftp://example.org/a", "scheme 'ftp'"),
        ("example.org/a", "no scheme"),
        ("", "is empty"),
        ("https:///a", "names no host"),
        ("https://example.org/a b", "quote"),
        ("https://exämple.org/a", "quote"),
        ("https://example.org:http/a", "host or port"),
        ("https://[::1/a", "host or port"),
        ("file://elsewhere/data/a", "no file of the worker's host"),
        ("https://example.org/" + "a" * config.url_chars_max, "longer than"),
        (b"https://example.org/a", "is no URL"),
    ],
)
def test_what_no_worker_can_download_is_refused_at_once(url: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        checked_url(url)


@settings(deadline=None)
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20))
def test_a_password_is_never_shown(rest: str) -> None:
    url = f"https://me:hunter2@{rest}"
    try:
        said = label_of(checked_url(url))
    except UsageError as refused:
        said = str(refused)
    assert "hunter2" not in said
