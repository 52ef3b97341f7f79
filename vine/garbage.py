"""How often does a long-lived process of ours look for garbage that refers to itself?"""

from __future__ import annotations

import gc

from vine import config


def collect_rarely() -> None:
    """Spare the process most of the collector's rounds, and in each of them what is there by now.

    A message makes dozens of objects that live until its task ends, so the usual 700 are reached every few
    calls; hardly any of ours are in cycles. What was imported is never garbage.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(config.garbage_objects_young, config.garbage_rounds_old, config.garbage_rounds_old)
