"""No file of anybody's making ends who reads it otherwise than by a typed error of one line."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.content.test_compression import noted, zst
from tests.factory.made import plan_in
from tests.foes.hostile import bytes_like, deep, packed, values
from tests.manager.journals import MANIFEST
from tests.manager.test_takeover import a_run
from tests.strategies import instances
from tests.views.journaled import JournaledWorld
from vine.content.archive import unpack
from vine.content.ledger import Entry, Ledger, Proof
from vine.environments import note
from vine.errors import VineError
from vine.manager.journal import file_name
from vine.manager.takeover import read_past
from vine.manager.tally import tally_path
from vine.names import ObjectId, WorkerId
from vine.views.status import main as vine_status
from vine.wire.keys import FILE_NAMES, load_connection, load_run_keys
from vine.wire.parts import Role
from vine_factory.launchers.left_behind import Note, Notes
from vine_factory.settings import Settings


@contextmanager
def a_folder() -> Iterator[Path]:
    """For one example: it goes with it."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _one_line(error: VineError) -> None:
    assert str(error) and "\n" not in str(error), repr(error)


# --- archives --------------------------------------------------------------------------------------


def _tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, target in (
            ("d", tarfile.DIRTYPE, ""),
            ("d/" + "long " * 30, tarfile.REGTYPE, ""),
            ("d/link", tarfile.SYMTYPE, "../f"),
            ("f", tarfile.REGTYPE, ""),
            ("hard", tarfile.LNKTYPE, "f"),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            info.size = 700 if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(b"x" * info.size))
    return out.getvalue()


ARCHIVES: list[bytes] = [pack(_tar()) for pack in (bytes, gzip.compress, bz2.compress, lzma.compress, zst, noted)]


@settings(deadline=None, max_examples=150)
@given(bytes_like(st.sampled_from(ARCHIVES)))
def test_an_archive_is_unpacked_or_refused_and_nothing_gets_out(data: bytes) -> None:
    with a_folder() as folder:
        (folder / "f").write_bytes(b"mine")
        (folder / "below").mkdir()
        archive, out = folder / "a", folder / "below" / "out"
        archive.write_bytes(data)
        try:
            unpack(archive, out)
        except VineError as error:
            _one_line(error)
        assert (folder / "f").read_bytes() == b"mine"
        assert sorted(path.name for path in folder.iterdir()) == ["a", "below", "f"]
        assert [path.name for path in (folder / "below").iterdir()] == ["out"]


_notes = st.sampled_from([note.Note("3.11", "/opt/python", ("numpy==2.0",)).as_bytes()])
_json = values.map(lambda value: json.dumps(value, default=repr).encode())


@settings(deadline=None, max_examples=200)
@given(bytes_like(_notes) | _json)
def test_what_an_archive_says_of_itself_is_of_the_right_kind_or_nothing(data: bytes) -> None:
    found = note.read(data)
    assert found.python is None or isinstance(found.python, str)
    assert found.base is None or isinstance(found.base, str)
    assert all(isinstance(pin, str) for pin in found.pins)


_WRONG = [b'{"python": 3}', b'{"pins": "abc"}', b'{"pins": [1]}', b'{"base": {}}', deep(b"["), deep(b'{"a":')]


@pytest.mark.parametrize("data", _WRONG, ids=lambda data: data[:20])
def test_a_note_of_the_wrong_kind_is_none(data: bytes) -> None:
    assert note.read(data) == note.Note(None)


# --- keys and options ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_run(tmp_path_factory.mktemp("foes") / "run", tasks=3)


@settings(deadline=None, max_examples=150)
@given(data=st.data())
@pytest.mark.parametrize("role", Role)
def test_a_file_of_keys_is_one_or_refused(run_dir: Path, role: Role, data: st.DataObject) -> None:
    good = (run_dir / FILE_NAMES[role]).read_bytes()
    with a_folder() as folder:
        path = folder / FILE_NAMES[role]
        path.write_bytes(data.draw(bytes_like(st.just(good)) | _json))
        try:
            _ = load_run_keys(folder) if role is Role.SERVER else load_connection(path, role)
        except VineError as error:
            _one_line(error)


OPTIONS = {"o.json": b'{"max-workers": 9, "module": ["gcc"]}', "o.toml": b'max-workers = 7\nmodule = ["gcc"]\n'}


@settings(deadline=None, max_examples=150)
@given(data=st.data())
@pytest.mark.parametrize("name", OPTIONS)
def test_a_file_of_options_is_one_or_refused(name: str, data: st.DataObject) -> None:
    with a_folder() as folder:
        path = folder / name
        path.write_bytes(data.draw(bytes_like(st.just(OPTIONS[name])) | _json))
        try:
            Settings(folder, {}, path).options()
        except VineError as error:
            _one_line(error)


# --- the journal -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with all kinds of rows, which has not ended."""
    world = JournaledWorld(tmp_path_factory.mktemp("world") / "run", workers=1)
    world.submit(inputs=(world.local_file(),), outputs=(world.temp(),))
    world.settle()
    world.submit(inputs=(world.local_file("b", bind=False),))
    run = world.save()
    keys = a_run(tmp_path_factory.mktemp("keys") / "run")
    for name in FILE_NAMES.values():
        shutil.copy(keys / name, run / name)
    with closing(sqlite3.connect(run / file_name)) as connection, connection:
        connection.execute("DELETE FROM facts WHERE name IN ('ended_s', 'end_reason')")
    with closing(sqlite3.connect(run / file_name)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return run


def _taken_up_and_looked_at(run: Path) -> None:
    """Whoever reads it has an answer, or complains in one line."""
    try:
        read_past(run, accept_losses=True)
    except VineError as error:
        _one_line(error)
    for words in ([], ["why", "4"], ["trace", str(run / "t")], ["report", str(run / "r")]):
        said = io.StringIO()
        with redirect_stderr(said), redirect_stdout(io.StringIO()):
            code = vine_status([str(run), *words])
        assert said.getvalue().count("\n") == bool(code), said.getvalue()


@contextmanager
def _copy_of(run: Path) -> Iterator[Path]:
    with a_folder() as folder:
        yield Path(shutil.copytree(run, folder / "run"))


@settings(deadline=None, max_examples=60)
@given(places=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)), min_size=1))
def test_a_journal_of_damaged_bytes_is_read_as_far_as_it_can_be(world: Path, places: list[tuple[float, bytes]]) -> None:
    with _copy_of(world) as run:
        with (run / file_name).open("r+b") as file:
            size = file.seek(0, io.SEEK_END)
            for at, damage in places:
                file.seek(int(at * size))
                file.write(damage)
        _taken_up_and_looked_at(run)


BLOBS = ["accepted.spec", "ended.result", "files.spec", "files.signature", "objects.manifest"]


@settings(deadline=None, max_examples=15)
@given(data=st.data())
@pytest.mark.parametrize("place", BLOBS)
def test_a_journal_with_a_damaged_row_is_not_gone_on_from(world: Path, place: str, data: st.DataObject) -> None:
    table, column = place.split(".")
    with _copy_of(world) as run, closing(sqlite3.connect(run / file_name)) as connection:
        query = f"SELECT rowid, {column} FROM {table} WHERE {column} NOT NULL"
        if table == "objects":
            query = query.replace("rowid", "object_id")
        key, good = data.draw(st.sampled_from(connection.execute(query).fetchall()))
        bad = data.draw(bytes_like(st.just(good)))
        with connection:
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE {query.split()[1][:-1]} = ?", (bad, key))
        _taken_up_and_looked_at(run)


@pytest.mark.parametrize("said", ["", "{", "[]", '{"tasks":', "\x00", deep(b"[").decode()], ids=lambda said: said[:10])
def test_a_damaged_row_of_statistics_is_told_as_such(world: Path, said: str) -> None:
    with _copy_of(world) as run:
        with closing(sqlite3.connect(run / file_name)) as connection, connection:
            connection.execute("UPDATE statistics SET snapshot = ?", (said,))
        _taken_up_and_looked_at(run)


@settings(deadline=None, max_examples=30)
@given(noted=st.binary(max_size=20))
def test_the_count_of_commits_beside_the_journal_may_be_anything(world: Path, noted: bytes) -> None:
    with _copy_of(world) as run:
        tally_path(run / file_name).write_bytes(noted)
        _taken_up_and_looked_at(run)


# --- the factory -----------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(bytes_like(instances(Note).map(msgspec.json.encode)))
def test_a_note_of_a_process_names_one_that_began_then_or_none(noted: bytes) -> None:
    with a_folder() as folder:
        notes = Notes(plan := plan_in(folder))
        # given a process that lives, and what somebody has made of its note
        plan.scratch.mkdir(exist_ok=True)
        notes.write(WorkerId("local-1-1"), os.getpid(), ())
        (path,) = plan.scratch.glob("*.process")
        path.write_bytes(noted)
        # then no process is taken for it, and the note goes
        assert notes.left_behind() == {}
        assert not path.exists()


# --- the store -------------------------------------------------------------------------------------

_proofs = instances(Proof).map(msgspec.msgpack.encode)


@settings(deadline=None, max_examples=60)
@given(bytes_like(_proofs) | packed)
def test_an_object_whose_entry_is_damaged_is_none(proof: bytes) -> None:
    with a_folder() as folder:
        ledger = Ledger(folder / "ledger", "one")
        key = ObjectId("a" * 64)
        with ledger.writing():
            ledger.add(Entry(key, 1, False, Proof("boot", MANIFEST, {})), 1)
        with closing(sqlite3.connect(folder / "ledger")) as connection, connection:
            connection.execute("UPDATE proofs SET proof = ?", (proof,))
        found = ledger.find_seen(key)
        assert found is None or isinstance(found.proof, Proof)
        with ledger.writing():
            assert len(ledger.entries()) <= 1
        ledger.close()
