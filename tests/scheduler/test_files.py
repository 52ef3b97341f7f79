"""Files, the objects that they stand for, and who holds those."""

from __future__ import annotations

from tests.scheduler.world import manifest
from vine.content.manifest import object_id
from vine.names import FileId, WorkerId
from vine.scheduler.actions import PeerKey
from vine.scheduler.files import FileTable, unpacked_id
from vine.wire.parts import CacheLevel, FileKind, FileSpec


def declare(table: FileTable, number: int, kind: FileKind = FileKind.TEMP, **fields: object) -> FileId:
    spec = FileSpec(FileId(number), kind, CacheLevel.WORKFLOW, "x", **fields)  # type: ignore[arg-type]
    return table.declare(spec, PeerKey("c")).file_id


def test_declarations_of_equal_content_are_one_object() -> None:
    table = FileTable()
    content = manifest("same")
    for number in (1, 2):
        table.bind(table.by_id[declare(table, number)], object_id(content), content)
    assert len(table.objects) == 1
    assert table.unbind(table.by_id[FileId(1)]) is None
    assert table.unbind(table.by_id[FileId(2)]) is not None
    assert not table.objects


def test_one_file_that_must_not_be_shared_keeps_its_content_from_being_shared() -> None:
    table = FileTable()
    content = manifest("same")
    table.bind(table.by_id[declare(table, 1)], object_id(content), content)
    known = table.bind(table.by_id[declare(table, 2, peer_transfer=False)], object_id(content), content)
    assert not known.peer_transfer


def test_an_unpacked_archive_can_be_had_while_its_archive_can() -> None:
    table = FileTable()
    content = manifest("archive")
    archive = table.bind(table.by_id[declare(table, 1)], object_id(content), content)
    tree = table.bind(table.by_id[declare(table, 2, FileKind.UNTAR)], unpacked_id(archive.object_id), None)
    tree.archive = archive.object_id
    assert not table.is_available(FileId(2))
    archive.holders.add(WorkerId("w"))
    assert table.is_available(FileId(2))
    assert table.weight_bytes(tree) > table.weight_bytes(archive)
