"""Can what a user has set be meant: amounts, counts, times, names?"""

from __future__ import annotations

import math
import posixpath
from collections.abc import Iterable

from vine import config, errors

_AMOUNT_MAX = 1e9  # of anything: MB, seconds, a priority
COUNT_MAX = (1 << 63) - 1  # what a message can carry
_MICROSECONDS_FROM = 1e14  # No date that is meant in seconds is as large as the microseconds of 1973.


def amount(what: str, value: float) -> float:
    """Of what is not below 0; gpus are a share of one or whole ones."""
    if not _is_number(value) or not 0 <= value <= _AMOUNT_MAX:
        raise errors.UsageError(f"{what}={value!r} is no amount: give a number of at least 0")
    if what == "gpus" and value > 1 and value != int(value):
        raise errors.UsageError(
            f"gpus={value!r} are neither a share of one device nor whole ones: give {int(value) + 1}"
        )
    return float(value)


def retries(value: int) -> int:
    """How many more tries a task has."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= COUNT_MAX:
        raise errors.UsageError(f"retries={value!r} is no number of more tries: give 0 or more")
    return value


def priority(value: float) -> float:
    """It may be below 0."""
    if not _is_number(value) or not -_AMOUNT_MAX <= value <= _AMOUNT_MAX:
        raise errors.UsageError(f"priority={value!r} is none: give a number, of which higher ones go first")
    return float(value)


def name(what: str, value: str) -> str:
    """What a category, a feature or a tag is called."""
    if not isinstance(value, str) or not 1 <= len(value) <= config.name_chars_max:
        limit = f"1 to {config.name_chars_max} characters"
        raise errors.UsageError(f"{value!r} is no name of a {what}: give text of {limit}")
    return value


def names(what: str, values: Iterable[str]) -> tuple[str, ...]:
    """Several of them; one alone may be given as it is."""
    given = [values] if isinstance(values, str) else values
    if not isinstance(given, Iterable):
        raise errors.UsageError(f"{values!r} are no names of {what}s: give a list of them")
    return tuple(name(what, each) for each in given)


def epoch_seconds(at: float) -> float:
    """A time of the clock, be it told in seconds or in TaskVine's microseconds."""
    if not _is_number(at) or not 0 <= at < math.inf:
        raise errors.UsageError(f"{at!r} is no time: give seconds since the epoch, such as time.time() + 60")
    return at / 1e6 if at > _MICROSECONDS_FROM else float(at)


def sandbox_name(given: str) -> str:
    """A path inside the sandbox, in its plainest form."""
    plain = posixpath.normpath(given) if isinstance(given, str) and given else ""
    if not plain or plain in (".", "..") or plain.startswith(("/", "../")) or "\0" in plain:
        raise errors.UsageError(f"{given!r} is no name for a file in a sandbox: use a relative path without '..'")
    return plain


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
