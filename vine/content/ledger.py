"""What do the stores that share a folder know together: its objects, who needs them, and who has been given room?"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from vine import config
from vine.content import folders
from vine.content.budget import Totals
from vine.content.eviction import Candidate
from vine.content.folders import Signatures
from vine.content.hashing import has_content
from vine.errors import DiskFull, VineError
from vine.host import boot_id
from vine.names import ObjectId
from vine.wire.codec import UNDECODABLE
from vine.wire.parts import Manifest

_VERSION = 3

_SCHEMA = """
    CREATE TABLE members (member TEXT PRIMARY KEY, capacity INTEGER, harmless INTEGER) WITHOUT ROWID;
    CREATE TABLE objects (
        key TEXT PRIMARY KEY, size INTEGER, forever INTEGER, used_at INTEGER, sure INTEGER
    ) WITHOUT ROWID;
    CREATE TABLE proofs (key TEXT PRIMARY KEY, proof BLOB);
    CREATE TABLE claims (
        key TEXT, member TEXT, spare INTEGER, forever INTEGER, PRIMARY KEY (key, member)
    ) WITHOUT ROWID;
    CREATE TABLE room (path TEXT PRIMARY KEY, member TEXT, size INTEGER) WITHOUT ROWID;
"""


class HeldByOthersError(VineError):
    """Another store has begun a change of the ledger and does not end it."""


class Proof(msgspec.Struct, frozen=True, array_like=True):
    """A complete object as it was when its last byte had been checked."""

    boot: str
    manifest: Manifest | None  # None for an unpacked archive
    signatures: Signatures

    @property
    def is_of_this_boot(self) -> bool:
        return self.boot == boot_id()

    def holds(self, key: ObjectId, path: Path) -> bool:
        """Whether the object at the path is still what was verified.

        While the machine runs, the kernel's times of change tell. What it had not written when it went
        down they do not tell: after that every byte is hashed again, and what has no hashes is not trusted.
        """
        try:
            if self.is_of_this_boot:
                return folders.signatures_of(path) == self.signatures
            return self.manifest is not None and has_content(path, key, self.manifest)
        except (OSError, VineError):
            return False


_decode_proof = msgspec.msgpack.Decoder(Proof).decode


@dataclass(frozen=True, slots=True)
class Entry:
    key: ObjectId
    size: int
    forever: bool
    proof: Proof
    sure: bool = True  # No member that may have written to it has ended since it was checked.


class Ledger:
    """A database beside the objects. All methods but `look` and those called `..._seen` are called within `writing`.

    DiskFull if a change does not fit, HeldByOthersError if others let nobody make one.

    It has to survive the death of processes and not that of the machine, so nothing waits for the disk.
    """

    def __init__(self, path: Path, member: str) -> None:
        self._path = path
        self._member = member
        self._lock = threading.Lock()
        self._database = _opened(path)
        self._reader = _opened(path)
        self._reading = threading.Lock()
        self._seen = -1
        self._allocate()

    def _allocate(self) -> None:
        """Have disk space for the changes to come: what says what is needed must not fail when a task fills the disk.

        SQLite keeps what its files have had: what is written here is free for the rows and for the log.
        """
        with self.writing():
            values = (config.ledger_allocated_bytes,)
            self._database.execute("INSERT OR REPLACE INTO proofs VALUES ('', zeroblob(?))", values)
        with self.writing():
            self._database.execute("DELETE FROM proofs WHERE key = ''")
        self._database.execute("PRAGMA wal_checkpoint(PASSIVE)")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One change that all see whole or not at all; nobody else changes anything meanwhile."""
        with self._lock, self._in_our_words():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:  # SQLite ends it itself where the disk is full.
                    self._database.execute("ROLLBACK")
                raise

    @contextmanager
    def _in_our_words(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:  # Python 3.10 has no codes of them.
            if "is full" in str(error):
                why = f"{self._path} has no room for a change: free space there"
                raise DiskFull(f"{why}, or give the worker another --workspace") from error
            if "is locked" in str(error):
                why = f"another process has held {self._path} for {config.ledger_wait_s:.0f} s"
                raise HeldByOthersError(f"{why}: let a worker that was stopped go on, or end it") from error
            raise

    def close(self) -> None:
        self._database.close()
        self._reader.close()

    # --- members ---

    def join(self, capacity_bytes: int | None) -> None:
        self._database.execute("INSERT INTO members VALUES (?, ?, 0)", (self._member, capacity_bytes))

    def call_harmless(self) -> None:
        """Whoever uses objects for this member cannot write to them."""
        self._database.execute("UPDATE members SET harmless = 1 WHERE member = ?", (self._member,))

    def all_harmless(self) -> bool:
        return not self._column("SELECT member FROM members WHERE NOT harmless")

    def others(self) -> list[str]:
        return self._column("SELECT member FROM members WHERE member <> ?", self._member)

    def forget_member(self, member: str) -> list[str]:
        """It has ended; returns the paths for which it had been given room, and which are nobody's now."""
        self._database.execute(
            "UPDATE objects SET sure = 0 WHERE EXISTS (SELECT 1 FROM members WHERE member = ? AND NOT harmless)",
            (member,),
        )
        paths: list[str] = self._column("SELECT path FROM room WHERE member = ?", member)
        self._database.execute("UPDATE room SET member = NULL WHERE member = ?", (member,))
        self._database.execute("DELETE FROM claims WHERE member = ?", (member,))
        self._database.execute("DELETE FROM members WHERE member = ?", (member,))
        return paths

    def totals(self) -> Totals:
        """What all members together may have here, and what there is."""
        return _totals_by(self._database)

    def totals_seen(self) -> Totals:
        """The same as of the last change that has ended. Waits for nobody."""
        with self._reading:
            return _totals_by(self._reader)

    # --- objects ---

    def entries(self) -> list[Entry]:
        """What is kept for ever first, then what was used last."""
        keys: list[ObjectId] = self._column("SELECT key FROM objects ORDER BY forever DESC, used_at DESC, key")
        return [entry for entry in map(self.find, keys) if entry is not None]

    def find(self, key: ObjectId) -> Entry | None:
        return _entry_by(self._database, key)

    def find_seen(self, key: ObjectId) -> Entry | None:
        """The same as of the last change that has ended. Waits for nobody."""
        with self._reading:
            return _entry_by(self._reader, key)

    def keys(self) -> set[ObjectId]:
        return set(self._column("SELECT key FROM objects"))

    def keys_seen(self) -> set[ObjectId]:
        """The same as of the last change that has ended. Waits for nobody."""
        with self._reading:
            return {key for (key,) in self._reader.execute("SELECT key FROM objects")}

    def add(self, entry: Entry, used_at: int) -> None:
        values = (entry.key, entry.size, entry.forever, used_at, entry.sure)
        self._database.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?)", values)
        proof = msgspec.msgpack.encode(entry.proof)
        self._database.execute("INSERT OR REPLACE INTO proofs VALUES (?, ?)", (entry.key, proof))

    def prove(self, key: ObjectId, proof: Proof) -> None:
        self._database.execute("UPDATE proofs SET proof = ? WHERE key = ?", (msgspec.msgpack.encode(proof), key))

    def make_sure(self, key: ObjectId) -> None:
        """It has been checked again, and is as it was."""
        self._database.execute("UPDATE objects SET sure = 1 WHERE key = ?", (key,))

    def remove(self, key: ObjectId) -> None:
        self._database.execute("DELETE FROM objects WHERE key = ?", (key,))
        self._database.execute("DELETE FROM proofs WHERE key = ?", (key,))
        self._database.execute("DELETE FROM claims WHERE key = ?", (key,))

    def look(self) -> frozenset[ObjectId] | None:
        """What is here; None if nothing has changed since it was last asked. Waits for nobody."""
        with self._reading:
            (version,) = self._reader.execute("PRAGMA data_version").fetchone()
            if version == self._seen:
                return None
            self._seen = version
            return frozenset(key for (key,) in self._reader.execute("SELECT key FROM objects"))

    # --- who needs them ---

    def claim(self, key: ObjectId, spare: bool, forever: bool = False) -> None:
        """What this member says of the object: whether it may go, and whether it outlives all members."""
        database = self._database
        if database.execute("SELECT 1 FROM objects WHERE key = ?", (key,)).fetchone() is None:
            return  # It is gone, and what comes under this id later is another matter.
        before = database.execute(
            "SELECT forever FROM claims WHERE key = ? AND member = ?", (key, self._member)
        ).fetchone()
        database.execute("INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?)", (key, self._member, spare, forever))
        if forever:
            database.execute("UPDATE objects SET forever = 1 WHERE key = ?", (key,))
        elif before is not None and before[0]:  # Others may have said so too, and what they want stays.
            database.execute(
                "UPDATE objects SET forever ="
                " EXISTS (SELECT 1 FROM claims WHERE claims.key = objects.key AND claims.forever) WHERE key = ?",
                (key,),
            )

    def claim_what_nobody_claims(self) -> None:
        """Until this member hears more of it, that stays."""
        self._database.execute(
            "INSERT INTO claims SELECT key, ?, 0, forever FROM objects WHERE key NOT IN (SELECT key FROM claims)",
            (self._member,),
        )

    def disclaim(self, key: ObjectId) -> bool:
        """This member needs it no more; whether others do."""
        self._database.execute("DELETE FROM claims WHERE key = ? AND member = ?", (key, self._member))
        return self._database.execute("SELECT 1 FROM claims WHERE key = ?", (key,)).fetchone() is not None

    def touch(self, used_at: Mapping[ObjectId, int]) -> None:
        rows = ((when, key) for key, when in used_at.items())
        self._database.executemany("UPDATE objects SET used_at = max(used_at, ?) WHERE key = ?", rows)

    def spare(self) -> list[Candidate]:
        """What may go, as far as every member says that has said anything."""
        rows = self._database.execute(
            "SELECT key, size, used_at FROM objects"
            " WHERE NOT EXISTS (SELECT 1 FROM claims WHERE claims.key = objects.key AND NOT spare)"
        )
        return [Candidate(*row) for row in rows]

    # --- room for what is no object (yet) ---

    def room_of(self, path: str) -> tuple[str | None, int] | None:
        """Whose it is (None: nobody's) and how much it may hold; None if it is not known."""
        row: tuple[str | None, int] | None = self._database.execute(
            "SELECT member, size FROM room WHERE path = ?", (path,)
        ).fetchone()
        return row

    def set_room(self, path: str, size: int, ours: bool = True) -> None:
        member = self._member if ours else None
        self._database.execute("INSERT OR REPLACE INTO room VALUES (?, ?, ?)", (path, member, size))

    def add_room(self, path: str, size: int) -> None:
        known = self.room_of(path)
        self.set_room(path, size + (known[1] if known is not None else 0))

    def end_room(self, path: str) -> None:
        self._database.execute("DELETE FROM room WHERE path = ?", (path,))

    def nobodys_room(self) -> list[tuple[str, int]]:
        """What was altered (`quarantine/`) before what broken transfers left (`partial/`)."""
        rows = self._database.execute("SELECT path, size FROM room WHERE member IS NULL ORDER BY path DESC")
        return list(rows)

    def end_all_room(self) -> None:
        self._database.execute("DELETE FROM room")

    def _column(self, query: str, *values: object) -> list:  # type: ignore[type-arg] # SQLite tells no types
        return [row[0] for row in self._database.execute(query, values)]


def remove(path: Path) -> None:
    """For those who find a ledger that cannot be read, and are alone with it."""
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def is_sound(path: Path) -> bool:
    """Whether what the machine left of it, when it went down, can be read."""
    if not path.exists():
        return True
    try:
        database = sqlite3.connect(path)
        try:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            return bool(version == _VERSION and database.execute("PRAGMA quick_check").fetchone() == ("ok",))
        finally:
            database.close()
    except sqlite3.Error:
        return False


def _entry_by(database: sqlite3.Connection, key: ObjectId) -> Entry | None:
    row = database.execute(
        "SELECT size, forever, proof, sure FROM objects JOIN proofs USING (key) WHERE key = ?", (key,)
    ).fetchone()
    try:
        return None if row is None else Entry(key, row[0], bool(row[1]), _decode_proof(row[2]), bool(row[3]))
    except UNDECODABLE:
        return None  # What cannot be proved is not here: it comes anew, with a proof of its own.


def _totals_by(database: sqlite3.Connection) -> Totals:
    number, limited, capacity, objects, room = database.execute(  # As of one moment, being one statement.
        "SELECT count(*), count(capacity), coalesce(sum(capacity), 0),"
        " (SELECT coalesce(sum(size), 0) FROM objects), (SELECT coalesce(sum(size), 0) FROM room) FROM members"
    ).fetchone()
    return (capacity if number == limited else None), objects + room


def _opened(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(
        path, timeout=config.ledger_wait_s, isolation_level=None, check_same_thread=False, cached_statements=64
    )
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = OFF")
    database.execute(f"PRAGMA wal_autocheckpoint = {config.ledger_log_pages}")
    if database.execute("PRAGMA user_version").fetchone() == (0,):
        database.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
    return database
