"""Are options what was meant, and is what cannot be told with its name?"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from vine.errors import UsageError
from vine.factory_options import LIVE, FactoryOptions, options_of


def test_what_is_left_out_has_its_default() -> None:
    options = options_of({})
    assert (options.batch_type, options.min_workers, options.most_workers) == ("local", 0, 1)


def test_a_minimum_alone_is_the_maximum_too() -> None:
    assert options_of({"min-workers": 4}).most_workers == 4


def test_texts_of_a_command_line_are_read_as_what_they_mean() -> None:
    options = options_of({"cores": "0.5", "memory": "1e3", "gpus": "0", "feature": ["a100", "x y"]}, texts=True)
    assert (options.cores, options.memory, options.gpus, options.feature) == (0.5, 1000.0, 0, ("a100", "x y"))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"min-workers": 3, "max-workers": 2}, "min-workers 3 is more than max-workers 2"),
        ({"max-workers": -1}, "max-workers -1 cannot be: expected int >= 0"),
        ({"max-workers": "many"}, "max-workers 'many' cannot be: expected int"),
        ({"cores": "nan"}, "cores 'nan' cannot be: expected float >= 0"),
        ({"memory": -5.0}, "memory -5.0 cannot be: expected float >= 0"),
        ({"gpus": "0.5"}, "gpus '0.5' cannot be: expected int"),
        ({"batch-type": "cloud"}, "batch-type 'cloud' cannot be: expected one of local, slurm, htcondor"),
        ({"cycle": 0}, "cycle 0 cannot be: expected float >= 0.1"),
        ({"module": ["gcc", "a\nb"]}, r"module \['gcc', 'a\\nb'\] cannot be: expected str matching"),
        ({"name": "a/b"}, "name 'a/b' cannot be: expected str matching"),
        ({"max-wrokers": 3}, "unknown field `max-wrokers`: see `vine-factory --help`"),
        ({"requirements": "x"}, "requirements are HTCondor's"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        options_of(given, texts=True)


def test_every_option_has_its_help_and_those_that_may_change_are_there() -> None:
    fields = msgspec.structs.fields(FactoryOptions)
    for field in fields:
        described: Any = field.type
        assert described.__metadata__[-1].description, field.name
    assert {field.name for field in fields} >= LIVE
