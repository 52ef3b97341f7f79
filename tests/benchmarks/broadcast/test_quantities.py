from __future__ import annotations

import argparse

import pytest

from benchmarks.broadcast import quantities


@pytest.mark.parametrize(
    ("text", "value"),
    [("908MB", 908_000_000), ("256MiB", 256 << 20), ("1.5kB", 1500), ("7", 7), ("2 GiB", 2 << 30), ("64m", 64_000_000)],
)
def test_sizes_are_read_as_people_write_them(text: str, value: int) -> None:
    assert quantities.size(text) == value


@pytest.mark.parametrize(("text", "value"), [("100mbit", 12.5e6), ("1.5 Gbit/s", 1.875e8), ("80bit", 10)])
def test_rates_are_bits_a_second(text: str, value: float) -> None:
    assert quantities.rate(text) == value


@pytest.mark.parametrize("text", ["", "big", "-1MB", "0", "1e3MB", "1.2.3MB", "5 apples"])
def test_what_is_no_size_is_named(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        quantities.size(text)


@pytest.mark.parametrize("text", ["", "fast", "100", "100MB", "0gbit", "-5mbit"])
def test_what_is_no_rate_is_named(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        quantities.rate(text)
