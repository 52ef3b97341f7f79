"""How does what an app wrote to its stdout and stderr come to the file that was named for it?"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass

from parsl.app.errors import BadStdStreamFile

from vine.client.files import File


@dataclass(frozen=True, slots=True)
class Stream:
    file: File
    spooled: str  # where the run brings it
    target: str
    mode: str  # as of `open`: what the target has already is kept ("a"), replaced ("w"), or is in the way ("x")


def appended(stream: Stream) -> None:
    """Put what has come at, or into, its target; BadStdStreamFile if that cannot be written."""
    if not os.path.exists(stream.spooled):
        return  # The app did not open it.
    try:
        os.makedirs(os.path.dirname(stream.target), exist_ok=True)
        with open(stream.spooled, "rb") as came, open(stream.target, f"{stream.mode[0]}b") as target:
            shutil.copyfileobj(came, target)
    except OSError as why:
        raise BadStdStreamFile(stream.target) from why
    finally:
        os.unlink(stream.spooled)
