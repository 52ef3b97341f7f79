"""Which options has an app's call: those of its specification, of its category, and of all?"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from vine.client.python_tasks import name_of
from vine.parsl.apps import Apps
from vine.parsl.config import ManagerConfig
from vine.parsl.resources import Specifications
from vine.parsl.staging import Signature, version

# By the names that Parsl has for them.
MODES = {"max-xput": "max throughput", "min-waste": "min waste", "max": "max"}
_REMEMBERED_MAX = 1000  # Of different specifications; programs have few.


class Choice:
    """Remembers what was asked for: making the options of a call anew costs more than the rest of its submission."""

    def __init__(self, apps: Apps, config: ManagerConfig) -> None:
        self._apps = apps
        self._config = config
        self._specifications = Specifications()
        self._chosen: dict[object, Apps] = {}
        self._categories: set[str] = set()

    def of(self, func: Callable[..., Any], specification: Mapping[str, Any]) -> Apps:
        """For the calls of an app; InvalidResourceSpecification where the specification is none."""
        category = name_of(func) if self._config.autocategory else None
        if not specification and category is None:
            return self._apps
        key: object = category  # Most calls ask for nothing.
        if specification:
            key = category, _frozen(specification), _there(specification)
        try:
            chosen = self._chosen.get(key)
        except TypeError:  # Something in it cannot be hashed, and be it of a key that means nothing here.
            return self._make(category, self._specifications.read(specification))
        if chosen is None:
            if len(self._chosen) >= _REMEMBERED_MAX:
                self._chosen.clear()
            chosen = self._chosen[key] = self._make(category, self._specifications.read(specification))
        return chosen

    def _make(self, category: str | None, known: Mapping[str, Any]) -> Apps:
        apps = self._apps.asking(known) if known else self._apps
        name = known.get("category", category)
        if name is None:
            return apps
        if self._config.autolabel and name not in self._categories:
            self._categories.add(name)
            apps.manager.set_category_mode(name, MODES[self._config.autolabel_algorithm])
        return apps.in_category(name, measured=self._config.autolabel and "cores" not in known)


def _there(specification: Mapping[str, Any]) -> Signature | None:
    """Which file, or folder, lies at the path of the environment that it names, if there is one."""
    environment = specification.get("environment") if isinstance(specification, Mapping) else None
    if not isinstance(environment, (str, os.PathLike)):
        return None
    try:
        return version(os.stat(environment))
    except (OSError, ValueError):
        return None  # A conda environment's name; or what the user is told of when it is declared.


def _frozen(value: Any) -> Any:
    """Something hashable that is the same for the same; files and the like are the same as themselves only."""
    if isinstance(value, Mapping):
        return tuple((key, _frozen(each)) for key, each in value.items())
    if isinstance(value, (list, tuple)):
        return tuple(map(_frozen, value))
    return frozenset(value) if isinstance(value, set) else value
