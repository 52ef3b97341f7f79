"""How does a small file come to have other content while somebody may read it, or write it, too?"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """At `path` is this, or what was there before, and nothing of it beside: OSError if it cannot be written.

    Only its owner may read it. Several threads and processes may do so at once: one of theirs is there in the end.
    """
    descriptor, fresh = tempfile.mkstemp(prefix=".vine-", suffix=".new", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
        os.replace(fresh, path)
    except BaseException:
        os.unlink(fresh)  # What was written of it would keep a full disk full.
        raise
