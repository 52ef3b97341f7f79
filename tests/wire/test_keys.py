"""Keys reach who may have them, and nobody else; what is wrong with a file is said in one line."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from vine.errors import ConnectionFileError
from vine.names import RunId
from vine.wire.keys import FILE_NAMES, Connection, load_connection, load_run_keys, new_run_keys, write_run_files
from vine.wire.parts import Role

KEYS = new_run_keys()
ENDPOINT = "tcp://127.0.0.1:4711"


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    write_run_files(KEYS, tmp_path / "runs" / "one", RunId("r1"), ENDPOINT)
    return tmp_path / "runs" / "one"


@pytest.mark.parametrize("role", [Role.CLIENT, Role.WORKER, Role.FACTORY])
def test_each_role_gets_its_own_pair_and_the_public_keys_of_data_sockets(run_dir: Path, role: Role) -> None:
    assert load_connection(run_dir, role) == Connection(
        role=role,
        run_id=RunId("r1"),
        run_dir=run_dir,
        endpoint=ENDPOINT,
        own=KEYS.pairs[role],
        server_public=KEYS.server_public,
        worker_public=KEYS.worker_public,
    )


def test_the_files_say_whether_data_travels_encrypted(tmp_path: Path) -> None:
    write_run_files(KEYS, tmp_path / "clear", RunId("r1"), ENDPOINT, data_encryption=False)
    write_run_files(KEYS, tmp_path / "ciphered", RunId("r1"), ENDPOINT)
    found = [load_connection(tmp_path / name, Role.WORKER).data_encryption for name in ("clear", "ciphered")]
    assert found == [False, True]


def test_the_workers_file_leads_every_role_to_its_own(run_dir: Path) -> None:
    for role in (Role.CLIENT, Role.FACTORY):
        assert load_connection(run_dir / "connection.json", role).role is role


def test_a_file_of_any_other_name_is_taken_as_it_is(run_dir: Path, tmp_path: Path) -> None:
    (run_dir / "connection.json").rename(tmp_path / "mine.json")
    assert load_connection(tmp_path / "mine.json", Role.WORKER).own == KEYS.pairs[Role.WORKER]


def test_a_restarted_manager_has_the_same_keys(run_dir: Path) -> None:
    assert load_run_keys(run_dir) == KEYS


def test_writing_again_replaces_the_files(run_dir: Path) -> None:
    write_run_files(KEYS, run_dir, RunId("r1"), "tcp://127.0.0.1:9")
    assert load_connection(run_dir, Role.WORKER).endpoint == "tcp://127.0.0.1:9"
    assert sorted(path.name for path in run_dir.iterdir()) == sorted(FILE_NAMES.values())


def test_no_file_but_the_managers_holds_another_roles_secret(run_dir: Path) -> None:
    for role in (Role.CLIENT, Role.WORKER, Role.FACTORY):
        text = (run_dir / FILE_NAMES[role]).read_text()
        assert [other for other, pair in KEYS.pairs.items() if pair.secret.decode() in text] == [role]


def test_secrets_do_not_show_when_keys_are_printed(run_dir: Path) -> None:
    shown = repr(KEYS) + repr(load_connection(run_dir, Role.WORKER))
    assert not any(repr(pair.secret) in shown for pair in KEYS.pairs.values())


def test_the_folder_and_its_files_are_closed_to_others_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_run_files(KEYS, tmp_path / "run", RunId("r"), ENDPOINT)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "run").iterdir()} == {0o600}


def test_an_open_folder_is_closed(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o755)
    write_run_files(KEYS, tmp_path / "run", RunId("r"), ENDPOINT)
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700


def test_a_link_laid_in_the_way_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "run").mkdir(mode=0o700)
    for name in FILE_NAMES.values():
        (tmp_path / "run" / name).symlink_to(tmp_path / "victim")
        (tmp_path / "run" / f".{name}.new").symlink_to(tmp_path / "victim")
    write_run_files(KEYS, tmp_path / "run", RunId("r"), ENDPOINT)
    assert (tmp_path / "victim").read_text() == "precious"
    assert load_connection(tmp_path / "run", Role.WORKER).endpoint == ENDPOINT


def _one_line(error: pytest.ExceptionInfo[ConnectionFileError], *parts: str) -> None:
    message = str(error.value)
    assert "\n" not in message
    assert all(part in message for part in parts), message


def test_a_file_that_is_not_there_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConnectionFileError) as error:
        load_connection(tmp_path / "connection.json", Role.WORKER)
    _one_line(error, str(tmp_path / "connection.json"), "start the manager first")


def test_a_file_that_others_can_read_is_refused(run_dir: Path) -> None:
    (run_dir / "connection.json").chmod(0o640)
    with pytest.raises(ConnectionFileError) as error:
        load_connection(run_dir, Role.WORKER)
    _one_line(error, "chmod 600")


def test_a_file_of_another_user_is_refused(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(ConnectionFileError) as error:
        load_connection(run_dir, Role.WORKER)
    _one_line(error, "another user")


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b"[1, 2]", b'{"version": 1, "role": "worker"}'])
def test_a_file_that_is_something_else_is_refused(run_dir: Path, content: bytes) -> None:
    (run_dir / "connection.json").write_bytes(content)
    with pytest.raises(ConnectionFileError) as error:
        load_connection(run_dir, Role.WORKER)
    _one_line(error, "no connection file", "name the manager's")


@pytest.mark.parametrize(
    ("old", "new"), [('"tcp://127.0.0.1:4711"', '"ipc:///tmp/x"'), ('"public": "', '"public": "x')]
)
def test_a_file_with_a_key_or_address_that_is_none_is_refused(run_dir: Path, old: str, new: str) -> None:
    path = run_dir / "connection.json"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ConnectionFileError) as error:
        load_connection(run_dir, Role.WORKER)
    _one_line(error, "no connection file")


def test_a_file_of_another_version_is_refused(run_dir: Path) -> None:
    path = run_dir / "connection.json"
    path.write_text(path.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(ConnectionFileError) as error:
        load_connection(run_dir, Role.WORKER)
    _one_line(error, "protocol 2", "same version")


def test_another_roles_file_is_refused(run_dir: Path, tmp_path: Path) -> None:
    (run_dir / "client.json").rename(tmp_path / "mine.json")
    with pytest.raises(ConnectionFileError) as error:
        load_connection(tmp_path / "mine.json", Role.WORKER)
    _one_line(error, "client's file", "connection.json")


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: os.mkfifo(path)])
def test_what_is_no_file_is_refused_and_does_not_hang(run_dir: Path, make: object) -> None:
    path = run_dir / "client.json"
    path.unlink()
    make(path)  # type: ignore[operator]
    with pytest.raises(ConnectionFileError) as error:
        load_connection(run_dir, Role.CLIENT)
    _one_line(error, "client.json")


def test_a_link_in_place_of_a_file_is_refused(run_dir: Path, tmp_path: Path) -> None:
    (run_dir / "client.json").rename(tmp_path / "elsewhere.json")
    (run_dir / "client.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(ConnectionFileError) as error:
        load_connection(run_dir, Role.CLIENT)
    _one_line(error, "client.json")


def test_the_link_to_the_most_recent_run_is_followed(run_dir: Path) -> None:
    (run_dir.parent / "most-recent").symlink_to(run_dir.name)
    assert load_connection(run_dir.parent / "most-recent", Role.CLIENT).run_dir == run_dir
