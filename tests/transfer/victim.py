"""A node in a process of its own, to be killed: `python -m tests.transfer.victim RUN_DIR STORE`.

It prints its chunks' endpoint, reads an order, and prints how many chunks it has whenever that has grown.
"""

from __future__ import annotations

import os
import queue
import sys
from pathlib import Path

import msgspec

from tests.transfer.nodes import StoreObjects
from vine.transfer.node import TransferNode
from vine.wire.keys import load_connection
from vine.wire.parts import Role
from vine.wire.sockets import Gate, make_context
from vine.wire.worker_messages import FetchObject


class Reporting(StoreObjects):
    """Objects that tell of each chunk that is stored."""

    def begin(self, key: object, manifest: object) -> object:
        partial = super().begin(key, manifest)
        write = partial.write

        def write_and_tell(index: int, data: object) -> None:
            write(index, data)
            os.write(1, b"%d\n" % len(partial.present))  # In one piece: two threads write chunks.

        partial.write = write_and_tell
        return partial


def main() -> None:
    connection = load_connection(Path(sys.argv[1]), Role.WORKER)
    context = make_context()
    Gate(context, connection)
    objects = Reporting(Path(sys.argv[2]))
    events: queue.Queue[object] = queue.Queue()
    node = TransferNode(context, connection, Role.WORKER, "127.0.0.1", None, objects, events.put)
    print(node.chunks_endpoint, flush=True)
    node.fetch(msgspec.json.decode(sys.stdin.readline(), type=FetchObject))
    events.get()


if __name__ == "__main__":
    main()
