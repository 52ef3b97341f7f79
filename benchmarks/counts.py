"""How often, how many: a whole number on a command line of a benchmark."""

from __future__ import annotations

import argparse


def count(text: str, most: int = 1_000_000_000) -> int:
    """A number from 1 to the most, for argparse."""
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {most:,}")
    return int(text)


def count_of_some(text: str) -> int:
    """As `count`, for what takes a machine's memory for each."""
    return count(text, 100_000)
