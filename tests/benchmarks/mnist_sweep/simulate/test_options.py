"""The simulated sweep's command line says what is wrong with it."""

from __future__ import annotations

import pytest

from benchmarks.mnist_sweep.simulate.options import parse
from benchmarks.mnist_sweep.simulate.run import Distribution, Policy


def test_without_arguments_it_is_the_papers_evaluation() -> None:
    options = parse([])
    assert (options.workers, options.tasks) == ((32, 64, 128, 256), 2048)
    assert options.distribution == tuple(Distribution) and options.policy == tuple(Policy)


def test_lists_are_separated_by_commas() -> None:
    options = parse(["--mode", "simulate", "--workers", "32,8,32", "--distribution", "vine-hot", "--policy", "vine"])
    assert options.workers == (32, 8)
    assert (options.distribution, options.policy) == ((Distribution.VINE_HOT,), (Policy.VINE,))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--workers", "0"],
        ["--workers", "32,"],
        ["--tasks", "many"],
        ["--distribution", "vine,shared"],
        ["--policy", "ours"],
        ["--processes", "0"],
        ["--mode", "real"],
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(arguments)
    assert caught.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_the_help_shows_what_can_be_typed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    with pytest.raises(SystemExit):
        parse(["--help"])
    shown = capsys.readouterr().out
    assert all(
        f"(default: {typed})" in shown for typed in ("32,64,128,256", "shared-fs,vine,vine-hot", "taskvine,vine")
    )
