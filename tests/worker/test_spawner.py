"""Does the spawner protect the objects, and leave nothing behind of what it started?"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.worker.programs import Held, end_of_one, shell
from vine_worker import spawner
from vine_worker.programs import ProgramEnded, Programs

# --- messages ---


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with near, far:
        yield near, far


def test_descriptors_arrive_with_their_message_and_not_with_the_next(ends: tuple[socket.socket, socket.socket]) -> None:
    near, far = ends
    reading, writing = os.pipe()
    spawner.send(near, {"start": 1}, (writing,))
    spawner.send(near, {"kill": 1})
    first, second = spawner.receive(far), spawner.receive(far)
    assert first is not None
    message, (descriptor,) = first
    assert message == {"start": 1}
    assert os.path.sameopenfile(descriptor, writing)
    assert second == ({"kill": 1}, [])
    for opened in (reading, writing, descriptor):
        os.close(opened)


def test_a_message_longer_than_the_sockets_buffer_arrives_whole(ends: tuple[socket.socket, socket.socket]) -> None:
    near, far = ends
    near.settimeout(20)  # So that one system call takes only what there is room for.
    message = {"start": 1, "variables": {"LONG": "x" * 2_000_000}}
    heard: list[Any] = []
    reader = threading.Thread(target=lambda: heard.append(spawner.receive(far)))
    reader.start()
    spawner.send(near, message, (near.fileno(),))
    reader.join()
    ((received, (descriptor,)),) = heard
    os.close(descriptor)
    assert received == message


@pytest.mark.parametrize("sent", [b"", b"\x02", spawner.HEAD.pack(9, 0), spawner.HEAD.pack(9, 0) + b'{"ki'])
def test_the_end_of_the_other_side_is_heard_wherever_it_comes(
    ends: tuple[socket.socket, socket.socket], sent: bytes
) -> None:
    near, far = ends
    near.sendall(sent)
    near.close()
    assert spawner.receive(far) is None


# --- objects ---


def kernel_lets_us_mount() -> bool:
    """As root, or as root of a namespace of our own."""
    ways = (["unshare", "--mount", "true"], ["unshare", "--map-root-user", "--mount", "true"])
    return any(subprocess.run(way, check=False, capture_output=True).returncode == 0 for way in ways)


@pytest.mark.live
def test_a_program_sees_the_objects_but_cannot_write_to_them(programs: Programs, objects: Path, tmp_path: Path) -> None:
    if not kernel_lets_us_mount():
        assert not programs.protected
        assert programs.reason, "why not is told, and the worker checks inputs instead"
        return
    assert programs.protected, programs.reason
    shell(programs, tmp_path, f"cat {objects}/data; echo more >> {objects}/data; rm -f {objects}/data")
    end_of_one(programs)
    said = (tmp_path / "out").read_text()
    assert said.startswith("stored")
    assert said.count("Read-only file system") == 2


@pytest.mark.live
def test_objects_that_come_later_are_seen(programs: Programs, objects: Path, tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(b"later")
    (tmp_path / "new").rename(objects / "new")
    shell(programs, tmp_path, f"cat {objects}/new")
    end_of_one(programs)
    assert (tmp_path / "out").read_text() == "later"


def test_a_folder_that_can_be_written_to_is_not_taken_for_protected(objects: Path) -> None:
    with pytest.raises(PermissionError, match="can be written to"):
        spawner.check_protected(str(objects))
    assert [path.name for path in objects.iterdir()] == ["data"], "the probe was left behind"


# --- ends ---


@pytest.mark.live
def test_a_killed_program_takes_its_group_with_it(programs: Programs, tmp_path: Path) -> None:
    held = Held(tmp_path / "held")
    number = shell(programs, tmp_path, f"sh -c 'echo up; exec sleep 60' > {held.path} & wait")
    held.wait_for_start()
    programs.kill(number, force=False)
    assert end_of_one(programs) == ProgramEnded(number, -signal.SIGTERM)
    held.wait_for_end()


@pytest.mark.live
def test_the_whole_group_is_asked_to_end_and_may_tidy_up(programs: Programs, tmp_path: Path) -> None:
    held = Held(tmp_path / "held")
    child = "trap 'echo tidy; exit 5' TERM; echo up; sleep 60 & wait"
    # The shell waits for its child, and ends as it did.
    number = shell(programs, tmp_path, f'trap : TERM; sh -c "{child}" > {held.path} & wait; wait $!')
    held.wait_for_start()
    programs.kill(number, force=False)
    assert held.next_line() == "tidy"
    assert end_of_one(programs) == ProgramEnded(number, 5)
    held.wait_for_end()


@pytest.mark.live
def test_what_is_left_of_a_group_ends_with_its_program_even_without_its_mark(
    programs: Programs, tmp_path: Path
) -> None:
    held, gate = Held(tmp_path / "held"), Held(tmp_path / "gate")
    shell(programs, tmp_path, f"env -i sh -c 'echo up; exec /bin/sleep 60' > {held.path} & echo > {gate.path}")
    held.wait_for_start()
    gate.wait_for_start()
    end_of_one(programs)
    held.wait_for_end()


@pytest.mark.live
def test_what_left_its_group_ends_with_its_program_and_not_with_another(programs: Programs, tmp_path: Path) -> None:
    held, orphaned, end, other = Held(tmp_path / "held"), Held(tmp_path / "gate"), tmp_path / "end", tmp_path / "other"
    os.mkfifo(end)
    other.mkdir()
    stray = f"(setsid sh -c 'echo up; exec sleep 60' > {held.path} &)"
    shell(programs, tmp_path, f"{stray}; echo > {orphaned.path}; cat {end}")
    held.wait_for_start()
    orphaned.wait_for_start()
    for _ in range(2):  # When the second is started, strays of the first have been looked for.
        shell(programs, other, "true")
        end_of_one(programs)
    assert held.alive(), "it was taken for a stray of another program"
    end.write_text("")
    end_of_one(programs)
    held.wait_for_end()


@pytest.mark.live
def test_what_hides_whose_it_is_ends_with_the_worker(programs: Programs, tmp_path: Path) -> None:
    held = Held(tmp_path / "held")
    shell(programs, tmp_path, f"setsid env -i sh -c 'echo up; exec /bin/sleep 60' > {held.path} & wait")
    held.wait_for_start()
    programs.close()
    held.wait_for_end()


@pytest.mark.live
def test_a_worker_that_is_killed_takes_its_programs_with_it(objects: Path, tmp_path: Path) -> None:
    """Nobody says so: its end of the socket is closed."""
    held = Held(tmp_path / "held")
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    arguments = [sys.executable, "-I", "-S", spawner.__file__, str(far.fileno()), "check", str(objects)]
    command = ["/bin/sh", "-c", f"exec > {held.path}; echo up; exec sleep 60"]
    with far, subprocess.Popen(arguments, pass_fds=[far.fileno()]) as process:
        try:
            request = {"start": 1, "argv": command, "folder": str(tmp_path), "variables": {}, "without": []}
            spawner.send(near, request, (far.fileno(),) * 3)
            held.wait_for_start()
            near.close()
            held.wait_for_end()
            assert process.wait(20) == 0
        finally:
            process.kill()


@pytest.mark.live
def test_a_ctrl_c_is_the_workers_to_handle(programs: Programs, tmp_path: Path) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        programs._spawner.send_signal(number)
    shell(programs, tmp_path, "kill -TERM $$")
    assert end_of_one(programs).code == -signal.SIGTERM, "what the spawner ignores, its programs would ignore too"
