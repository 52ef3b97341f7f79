"""Do programs that cannot be killed harm the spawner?"""

from __future__ import annotations

import os
import signal

import pytest

from vine_worker import spawner


@pytest.mark.parametrize("error", [PermissionError, ProcessLookupError])
def test_what_runs_as_somebody_else_or_is_gone_does_not_end_the_spawner(
    error: type[OSError], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def refuse(pid: int, number: int) -> None:
        asked.append(number)
        raise error

    monkeypatch.setattr(os, "kill", refuse)
    monkeypatch.setattr(os, "killpg", refuse)
    spawner.kill(7)
    spawner.kill_group(7, signal.SIGTERM)
    assert asked == [signal.SIGKILL, signal.SIGTERM]
