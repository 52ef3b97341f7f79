"""What do people mean by 908MB, 256MiB and 10gbit?"""

from __future__ import annotations

import argparse
import re

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kmgt]?)(i?)b?", re.IGNORECASE)
_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kmgt]?)bit(?:/s|ps)?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def size(text: str) -> int:
    """Bytes: `908MB` are decimal, `256MiB` binary."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: say for instance 908MB or 256MiB")
    value = int(float(found[1]) * (1024 if found[3] else 1000) ** _POWERS[found[2].lower()])
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is nothing to send")
    return value


def rate(text: str) -> float:
    """Bytes a second, from bits: `100mbit`, `10gbit`."""
    found = _RATE.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no rate: say for instance 100mbit or 10gbit")
    value = float(found[1]) * 1000.0 ** _POWERS[found[2].lower()] / 8
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is too slow to end")
    return value
