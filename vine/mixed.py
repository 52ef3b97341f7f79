"""Are we alone in our folder: a clear refusal where Celery's `vine` was installed into it."""

from __future__ import annotations

import os

# Files of the promise library of the same import name (PyPI's `vine`), none of which is ours.
_FOREIGN = ("promises.py", "abstract.py", "funtools.py", "synchronization.py")


def refuse_mixed_install(folder: str | None = None) -> None:
    """Raise ImportError if the other project's files lie beside ours."""
    folder = folder or os.path.dirname(__file__)
    found = [name for name in _FOREIGN if os.path.exists(os.path.join(folder, name))]
    if found:
        raise ImportError(
            f"{folder} mixes vine-runtime with Celery's promise library `vine` (found {', '.join(found)}). "
            "Both use the import name `vine`: uninstall both, then install vine-runtime into an environment of its own."
        )
