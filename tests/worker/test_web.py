"""How is a URL asked, and what do its server's answers mean? Against a true web server."""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web import Reply, WebServer, a_web_server, make_certificate
from vine import config
from vine.wire.parts import DownloadFault
from vine_worker.web import Body, Line, Trouble, ask

DATA = b"content"


@pytest.fixture
def server() -> Iterator[WebServer]:
    with a_web_server() as server:
        yield server


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def secure(certificate: tuple[Path, Path]) -> Iterator[WebServer]:
    with a_web_server(*certificate) as server:
        yield server


def content(url: str) -> bytes:
    line = Line()
    body: Body = ask(url, line)
    try:
        return body.read(1000)
    finally:
        body.close()
        line.close()


def trouble(url: str) -> Trouble:
    with pytest.raises(Trouble) as raised:
        content(url)
    return raised.value


# --- certificates ----------------------------------------------------------------------------------


def test_a_certificate_that_nobody_trusts_is_refused_at_once(secure: WebServer) -> None:
    found = trouble(secure.serve(Reply(DATA)))
    assert found.fault is DownloadFault.UNTRUSTED
    assert "certificate" in str(found) and "self" in str(found)
    assert not found.again
    assert secure.requests == []


def test_a_certificate_that_the_system_trusts_is_taken(
    secure: WebServer, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    assert content(secure.serve(Reply(DATA))) == DATA


def test_a_server_without_tls_is_refused_where_tls_is_asked_for(server: WebServer) -> None:
    found = trouble(server.serve(Reply(DATA)).replace("http:", "https:"))
    assert found.fault is DownloadFault.UNTRUSTED
    assert not found.again


# --- redirects -------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(server: WebServer, status: int) -> None:
    server.serve(Reply(DATA), path="/moved")
    assert content(server.serve(Reply(status=status, headers={"Location": "/moved"}))) == DATA


def test_redirects_do_not_lead_out_of_tls(
    server: WebServer, secure: WebServer, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a trusted server that leads to one without TLS
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    open_url = server.serve(Reply(DATA))
    secure_url = secure.serve(Reply(status=302, headers={"Location": f"{open_url}?token=secret"}))
    # when
    found = trouble(secure_url)
    # then nobody is asked there, and the message tells no secret
    assert found.fault is DownloadFault.REFUSED
    assert open_url in str(found) and "secret" not in str(found)
    assert server.requests == []


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/data", "gopher:x", "http://a:b:c/"])
def test_redirects_lead_to_web_servers_only(server: WebServer, target: str) -> None:
    found = trouble(server.serve(Reply(status=302, headers={"Location": target})))
    assert found.fault is DownloadFault.REFUSED
    assert not found.again


def test_redirects_that_go_round_in_a_circle_end(server: WebServer) -> None:
    found = trouble(server.serve(Reply(status=302, headers={"Location": "/data"})))
    assert found.fault is DownloadFault.REFUSED
    assert len(server.requests) <= config.download_redirects_max + 1


# --- secrets -----------------------------------------------------------------------------------------


def test_a_user_and_password_are_told_to_the_url_s_own_server_only(server: WebServer) -> None:
    # given a server that leads on to a path of its own, and that to another server
    with a_web_server() as other:
        server.serve(Reply(status=302, headers={"Location": other.serve(Reply(DATA))}), path="/own")
        url = server.serve(Reply(status=302, headers={"Location": "/own"}))
        # when
        assert content(url.replace("http://", "http://me:pass%20word@")) == DATA
        # then
        said = [request.headers["Authorization"] for request in (*server.requests, *other.requests)]
    told = "Basic " + base64.b64encode(b"me:pass word").decode()
    assert said == [told, told, None]


# --- proxies -----------------------------------------------------------------------------------------


def test_a_proxy_is_taken_from_the_environment(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.url(""))
    monkeypatch.setenv("no_proxy", "")
    server.serve(Reply(DATA), path="http://example.invalid/data")
    assert content("http://example.invalid/data") == DATA


# --- who cannot be asked -----------------------------------------------------------------------------


def test_a_host_that_listens_to_nobody_is_unreachable() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        found = trouble(f"http://127.0.0.1:{bound.getsockname()[1]}/data")
    assert found.fault is DownloadFault.UNREACHABLE
    assert found.again


def test_a_host_that_does_not_exist_is_unreachable() -> None:
    assert trouble("http://host.invalid/data").fault is DownloadFault.UNREACHABLE


def test_a_server_that_says_nothing_is_given_up(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a server that takes the connection, and no patience
    monkeypatch.setattr(config, "download_silence_max_s", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        # when
        found = trouble(f"http://127.0.0.1:{mute.getsockname()[1]}/data")
    # then
    assert found.fault is DownloadFault.UNREACHABLE
    assert found.again


@pytest.mark.parametrize("tls", [False, True])
def test_silence_has_a_limit_of_its_own_once_a_server_has_answered_the_call(
    server: WebServer, secure: WebServer, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tls: bool
) -> None:
    limits = []

    class Watched(Line):
        def use(self, used: socket.socket) -> None:
            limits.append(used.gettimeout())
            super().use(used)

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    line = Watched()
    ask((secure if tls else server).serve(Reply(DATA)), line).close()
    line.close()
    assert limits == [config.download_silence_max_s]


def test_a_server_of_another_protocol_is_told_as_such() -> None:
    with a_web_server() as server:
        server.serve(Reply(status=999))
        found = trouble(server.url())
    assert found.fault is DownloadFault.SERVER_FAILED


def test_an_answer_without_content_is_none(server: WebServer) -> None:
    assert trouble(server.serve(Reply(status=204))).fault is DownloadFault.REFUSED


# --- versions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "tag"),
    [
        ({"ETag": '"v1"'}, '"v1"'),
        ({"ETag": 'W/"v1"'}, ""),
        ({"ETag": '"v1"', "Accept-Ranges": "none"}, ""),
        ({"Last-Modified": "Mon, 05 Jan 2015 10:00:00 GMT"}, "Mon, 05 Jan 2015 10:00:00 GMT"),
        ({"Last-Modified": "Mon, 05 Jan 2099 10:00:00 GMT"}, ""),
        ({"Last-Modified": "yesterday"}, ""),
        ({}, ""),
    ],
)
def test_only_what_changes_with_the_content_tells_versions_apart(
    server: WebServer, headers: dict[str, str], tag: str
) -> None:
    line = Line()
    body = ask(server.serve(Reply(DATA, headers=headers)), line)
    body.close()
    line.close()
    assert body.tag == tag


# --- files -------------------------------------------------------------------------------------------


def test_files_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("missing", "pipe", "", "zero%00byte"):
        found = trouble(f"file://{tmp_path}/{name}")
        assert found.fault is DownloadFault.UNREADABLE
        assert not found.again


def test_a_file_that_changes_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    body = ask(f"file://{path}", Line())
    body.check()
    path.write_bytes(DATA + b"!")
    with pytest.raises(Trouble) as raised:
        body.check()
    body.close()
    assert raised.value.again


def test_what_comes_with_a_redirect_is_not_read(server: WebServer) -> None:
    # given one that says that it brings more than any memory holds
    there = server.serve(Reply(DATA), path="/there")
    endless = Reply(b"x", status=302, headers={"Location": there, "Content-Length": "9" * 20})
    # then it leads where it leads
    assert content(server.serve(endless)) == DATA
