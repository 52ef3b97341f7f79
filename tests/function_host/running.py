"""A function host that runs, and what it answers."""

from __future__ import annotations

import json
import os
import pickle
import select
import subprocess
from pathlib import Path
from typing import Any

import dill

from vine_function_host import frames
from vine_function_host.payload import DILL, body_of, pieces_of
from vine_worker import process
from vine_worker.functions.channel import Answer, HostChannel

DILL_FOLDER = Path(dill.__file__).parent.parent


class RunningHost:
    """A host process with a function store of its own."""

    def __init__(self, folder: Path, *, once: bool = False, fork: bool = False) -> None:
        self.folder = folder
        self.channel = HostChannel(folder)
        descriptors = ",".join(map(str, self.channel.far_descriptors))
        *program, _, options = process.host_arguments(None, DILL_FOLDER, self.channel.folder, once=once, fork=fork)
        measuring = json.dumps({**json.loads(options), "measured_run_s_min": 0})  # whatever runs, however short
        arguments = [*program, descriptors, measuring]
        self.process = subprocess.Popen(arguments, pass_fds=self.channel.far_descriptors, cwd=folder)
        self.number = 0

    def call(self, function: Any, *args: Any, settings: bytes = b"", values: tuple[bytes, ...] = ()) -> None:
        path = self.folder / f"function-{self.number + 1}"
        path.write_bytes(DILL + dill.dumps(function, recurse=True))
        self.call_payload(path, b"P" + pickle.dumps((args, {})), settings, values)

    def call_payload(self, path: Path, payload: bytes, settings: bytes = b"", values: tuple[bytes, ...] = ()) -> None:
        self.number += 1
        blobs = [(frames.INLINE, content) for content in (payload, *values)]
        self.channel.send(self.number, frames.common_part(os.fsencode(path), settings), blobs)
        self.channel.flush()

    def answer(self) -> Answer:
        return self.answers(1)[0]

    def values(self, count: int) -> list[Any]:
        return [value_of(answer) for answer in self.answers(count)]

    def answers(self, count: int) -> list[Answer]:
        """So many answers, besides the one that says that the interpreter is up."""
        answers: list[Answer] = []
        while len(answers) < count:
            assert select.select([self.channel], [], [], 20)[0], "the host does not answer"
            answers += (answer for answer in self.channel.receive() if answer.brings != frames.READY)
        return answers

    def result(self, function: Any, *args: Any, **options: Any) -> Any:
        self.call(function, *args, **options)
        return value_of(self.answer())


def value_of(answer: Answer) -> Any:
    assert answer.brings == frames.VALUE, value_or_text(answer)
    return value_or_text(answer)


def value_or_text(answer: Answer) -> Any:
    content = Path(os.fsdecode(answer.content)).read_bytes() if answer.at_path else answer.content
    return dill.loads(body_of(content)) if content[:1] in (b"P", b"D") else content


def many(host: RunningHost, function: Any, first: tuple[Any, ...], rows: list[Any], **named: Any) -> Answer:
    """What is answered to a chunk of calls."""
    path = host.folder / "chunk"
    path.write_bytes(DILL + dill.dumps(function, recurse=True))
    host.call_payload(path, b"MP" + pickle.dumps(((first, rows), named)))
    return host.answer()


def parts_of(answer: Answer) -> list[Any]:
    assert answer.content[:1] == b"M"
    return [dill.loads(body_of(part)) for part in pieces_of(answer.content[1:])]
