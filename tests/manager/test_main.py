from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from vine import config
from vine.errors import ExitCode
from vine.manager import main as manager_main
from vine.manager.main import main
from vine.scheduler.settings import Spread

Complaint = Callable[..., tuple[int, str]]


@pytest.fixture
def complaint(capsys: pytest.CaptureFixture[str]) -> Complaint:
    """Exit code and stderr of a manager that cannot start."""

    def run(*argv: str) -> tuple[int, str]:
        code = main(argv)
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.count("\n") == 1 and "Traceback" not in said.err
        return code, said.err

    return run


def test_a_port_in_use_is_named_and_leaves_nothing_behind(tmp_path: Path, complaint: Complaint) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, said = complaint("--bind", address, "--run-info-path", str(tmp_path / "info"))
    assert code == ExitCode.CANNOT_BIND
    assert address in said and "name another port" in said
    assert os.listdir(tmp_path) == []


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path, complaint: Complaint) -> None:
    (tmp_path / "file").write_bytes(b"")
    for option in ("--run-info-path", "--run-dir"):
        code, said = complaint(option, str(tmp_path / "file" / "runs"))
        assert code == ExitCode.USAGE
        assert f"{tmp_path}/file/runs cannot hold the run (Not a directory)" in said


def test_a_run_directory_with_something_in_it_is_refused(tmp_path: Path, complaint: Complaint) -> None:
    (tmp_path / "precious").write_bytes(b"mine")
    tmp_path.chmod(0o755)
    code, said = complaint("--run-dir", str(tmp_path))
    assert code == ExitCode.USAGE
    assert "is not empty: name a new one" in said
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert os.listdir(tmp_path) == ["precious"]


@pytest.mark.parametrize("address", ["nowhere:port", "127.0.0.1:99999", "a:b:c", "::1", "a:9-8", "a:0-9", "a:1-99999"])
def test_an_address_that_is_none_is_named(address: str, complaint: Complaint) -> None:
    code, said = complaint("--bind", address)
    assert code == ExitCode.USAGE
    assert repr(address) in said


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1", ("127.0.0.1", range(1))),
        ("node7:9123", ("node7", range(9123, 9124))),
        (":9123", ("127.0.0.1", range(9123, 9124))),
        ("[::1]:9123-9200", ("::1", range(9123, 9201))),
        ("[::1]", ("::1", range(1))),
    ],
)
def test_addresses_are_read_as_users_write_them(text: str, address: tuple[str, range]) -> None:
    assert manager_main._address(text) == address


@pytest.mark.parametrize("descriptor", ["987", "-1", str(1 << 40)])
def test_a_pipe_that_was_not_inherited_is_named(descriptor: str, complaint: Complaint) -> None:
    code, said = complaint("--parent-fd", descriptor)
    assert code == ExitCode.USAGE
    assert f"--parent-fd {descriptor} is not open here" in said


@pytest.mark.parametrize(
    "setting",
    [
        "no_such_limit=1",
        "worker_lost_after_s=soon",
        "chunk_bytes_small=1.5",
        "nan",
        "source_patience=-1",
        "source_patience=inf",
        "source_patience=nan",
    ],
)
def test_a_limit_that_is_none_is_named(setting: str, complaint: Complaint) -> None:
    code, said = complaint("--set", setting)
    assert code == ExitCode.USAGE
    assert repr(setting) in said


def test_limits_are_set_with_the_type_that_they_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "worker_lost_after_s", 15.0)
    monkeypatch.setattr(config, "source_transfers_max", 3)
    manager_main._set_limits(
        [manager_main._limit("worker_lost_after_s=2"), manager_main._limit("source_transfers_max=5")]
    )
    assert (config.worker_lost_after_s, config.source_transfers_max) == (2.0, 5)
    assert isinstance(config.source_transfers_max, int)


def test_every_way_to_spread_can_be_asked_for() -> None:
    assert {Spread(manager_main._parse(["--spread", spread.value]).spread) for spread in Spread} == set(Spread)
    with pytest.raises(SystemExit):
        manager_main._parse(["--spread", "gossip"])


def test_data_is_encrypted_unless_told_otherwise() -> None:
    told = ([], ["--data-encryption", "on"], ["--data-encryption", "off"])
    assert [manager_main._parse(options).data_encryption for options in told] == [True, True, False]


def test_a_name_that_could_leave_its_folder_is_refused(complaint: Complaint) -> None:
    code, said = complaint("--name", "../evil")
    assert code == ExitCode.USAGE
    assert "'../evil'" in said


def test_help_and_version_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "--run-info-path" in capsys.readouterr().out
