"""What does an app's `parsl_resource_specification` ask for, in the options of calls?"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from parsl.executors.errors import InvalidResourceSpecification

from vine import errors

ISOLATION = {"serverless": "shared", "regular": "process"}
KNOWN = (
    "cores",
    "memory",
    "disk",
    "gpus",
    "priority",
    "category",
    "running_time_max",
    "running_time_min",
    "environment",
    "features",
    "exec_mode",
)
_AS_THEY_ARE = ("cores", "memory", "disk", "gpus", "priority", "category", "features")

_log = logging.getLogger(__name__)


class Specifications:
    """Reads them; says once of each key that nobody knows here that it means nothing."""

    def __init__(self) -> None:
        self._unknown: set[str] = set()

    def read(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What is known of it, checked as far as its names and its mode go; InvalidResourceSpecification if wrong."""
        if not isinstance(given, Mapping):
            raise InvalidResourceSpecification(set(), f"{given!r} is no mapping of resources: give a dict")
        unknown = [key for key in given if key not in KNOWN and key not in self._unknown]
        if unknown:
            self._unknown.update(unknown)
            _log.warning("resource specification: %s unknown here and ignored; known are %s", unknown, list(KNOWN))
        mode = given.get("exec_mode")
        if mode is not None and mode not in ISOLATION:
            raise InvalidResourceSpecification({"exec_mode"}, f"{mode!r} is none: give one of {list(ISOLATION)}")
        return {key: given[key] for key in KNOWN if given.get(key) is not None}


def options_of(known: Mapping[str, Any]) -> dict[str, Any]:
    """The options of `vine.Executor.options` for what `read` has found, but for environment, and time that is left."""
    options = {key: known[key] for key in _AS_THEY_ARE if key in known}
    if "running_time_max" in known:
        options["time_limit"] = known["running_time_max"]
    if "exec_mode" in known:
        options["isolation"] = ISOLATION[known["exec_mode"]]
    return options


def invalid(known: Mapping[str, Any], why: errors.UsageError) -> InvalidResourceSpecification:
    """The error of a figure that is none."""
    return InvalidResourceSpecification(set(known), str(why))
