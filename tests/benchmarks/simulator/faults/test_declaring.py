"""The files of a random program: of all kinds, and known until they are taken."""

from __future__ import annotations

import random

from benchmarks.simulator.faults.asking import Asking, Premises
from benchmarks.simulator.faults.client import FaultyClient
from benchmarks.simulator.faults.declaring import Files
from benchmarks.simulator.faults.journal import Staging
from tests.benchmarks.simulator.faults.test_behaviours import behaviours
from tests.benchmarks.simulator.faults.test_client import WELCOME
from vine.wire import messages as wire
from vine.wire.parts import FileKind, FileSpec, Resources


def files(declared: int = 0) -> tuple[Files, list[wire.FromClient], Staging]:
    said: list[wire.FromClient] = []
    staging, dice = Staging(), random.Random(1)
    client = FaultyClient("c", lambda message, again: said.append(message), staging)
    client.hear(WELCOME)
    asking = Asking(dice, Premises(Resources(1), 1, ("h0",), False, None))
    made = Files(client, client.say, asking, dice, behaviours())
    for _ in range(declared):
        made.declare()
    return made, said, staging


def specs(said: list[wire.FromClient]) -> list[FileSpec]:
    return [spec for message in said if isinstance(message, wire.DeclareFiles) for spec in message.files]


def test_files_are_of_all_kinds_that_programs_have() -> None:
    made, said, _ = files(100)
    assert {spec.kind for spec in specs(said)} == set(FileKind) - {FileKind.TEMP}
    assert any(isinstance(message, wire.FileUnreadable) for message in said)
    assert set(made.folders) == {spec.file_id for spec in specs(said) if spec.kind is FileKind.UNTAR}


def test_a_buffer_that_does_not_travel_lies_in_the_staging_folder() -> None:
    _, said, staging = files(100)
    paths = [spec.path for spec in specs(said) if spec.kind is FileKind.BUFFER and spec.path is not None]
    assert paths and staging.paths == set(paths) and len(set(paths)) == len(paths)


def test_outputs_are_temps_or_files_at_paths_of_their_own_that_do_not_exist_yet() -> None:
    made, said, _ = files()
    for at_path in (False, True, True):
        made.output(at_path)
    temp, *others = specs(said)
    assert temp.kind is FileKind.TEMP and {other.kind for other in others} == {FileKind.LOCAL}
    assert len({other.path for other in others}) == 2 and not any(other.exists for other in others)


def test_what_is_taken_is_not_known_any_more() -> None:
    made, _, _ = files(30)
    made.functions.append(made.function())
    taken = made.take_one()
    assert taken is not None and taken not in made.known and taken not in made.folders
    everything = made.take_all()
    assert everything and not (made.all or made.folders or made.functions) and made.take_one() is None
