"""How does a file come to be whole or not at all, though somebody may read it, or end us, while it is written?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from vine.errors import UsageError


@contextmanager
def written_whole(out: Path) -> Iterator[TextIO]:
    """What is written to it is at `out` at the end; UsageError if it cannot be written."""
    temporary = out.with_name(f".{out.name}.new")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            yield file
        temporary.replace(out)
    except OSError as error:
        raise UsageError(f"{out} cannot be written ({error.strerror}): name another file") from None
    finally:
        with suppress(OSError):  # It is at its place, or there never was a folder for it.
            temporary.unlink()
