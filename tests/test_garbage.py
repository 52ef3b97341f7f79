from __future__ import annotations

import gc
import subprocess
import sys

from vine import config
from vine.garbage import collect_rarely


def test_the_collector_looks_rarely_and_past_what_was_there_before() -> None:
    # given a process of its own, for all of this is the process's
    program = (
        "import gc; from vine.garbage import collect_rarely; before = gc.get_freeze_count(); collect_rarely();"
        "print(gc.get_threshold()[0], gc.get_freeze_count() > before)"
    )
    # when it is told so
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    # then
    assert said.split() == [str(config.garbage_objects_young), "True"]


def test_garbage_is_still_found() -> None:
    thresholds = gc.get_threshold()
    try:
        collect_rarely()
        assert gc.isenabled() and all(gc.get_threshold()[:2])
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
