"""How many calls may a library have at once, and what does one of them need?"""

from __future__ import annotations

from vine.names import FileId, PeerKey
from vine.scheduler.libraries import LibraryRecord
from vine.wire.parts import LibrarySpec, Request, Resources


def library(request: Request, slots: int | None = None) -> LibraryRecord:
    return LibraryRecord(LibrarySpec(FileId(1), "lib", ("f",), None, request, slots), PeerKey("client"))


def test_slots_are_as_many_as_were_said_or_as_there_are_cores() -> None:
    assert library(Request(cores=8), slots=3).slots_of(Resources(cores=8)) == 3
    assert library(Request()).slots_of(Resources(cores=4)) == 4
    assert library(Request(cores=0.5)).slots_of(Resources(cores=0.5)) == 1


def test_one_call_needs_a_slots_part_of_what_was_asked_for() -> None:
    assert library(Request(cores=4, gpus=1)).request_of_one == Request(1.0, None, None, 0.25)
    assert library(Request(memory_mb=100), slots=2).request_of_one == Request(1.0, 50.0, None, None)
