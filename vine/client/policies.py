"""What may a program ask of its run as a whole: how categories of its tasks are run, and on which hosts?"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from vine import config, errors
from vine.client import amounts
from vine.client.session import Session
from vine.wire.messages import SetCategory, SetHosts
from vine.wire.parts import CategoryMode, CategorySpec, HostStanding, Request

_FIELDS = {"cores": "cores", "memory": "memory_mb", "disk": "disk_mb", "gpus": "gpus"}


class Policies:
    """A manager's part that says how its tasks are to be run; see `Manager`."""

    _session: Session
    _categories: dict[str, CategorySpec]
    enforce_resources: bool

    def enable_monitoring(self, watchdog: bool = True) -> None:
        """What tasks use is always measured. `watchdog` says of tasks that are submitted from now on, as the manager's
        argument `enforce_resources` does of all, whether those are killed that exceed what they asked for."""
        self.enforce_resources = watchdog

    def set_category_mode(self, category: str, mode: str) -> None:
        """Where the category's tasks get the figures from that they do not give themselves.

        "fixed": from `set_category_resources_max`; a task that uses more fails. In the other modes from what its tasks
        have used until now, once a few have ended; one that exceeds such memory or disk is run once more with those of
        `set_category_resources_max`, or without a limit. "max" gives the most that one has used; "max throughput" what
        lets most tasks end a second, and "min waste" what wastes least of memory and disk, though some run twice. Cores
        are always the most that one has used. (Tovar et al., "A Job Sizing Strategy for High-Throughput Scientific
        Workflows", IEEE TPDS 29(2), 2018.) UsageError for any other mode.
        """
        try:
            found = CategoryMode(mode.replace("_", " "))
        except (ValueError, AttributeError):
            known = ", ".join(repr(each.value) for each in CategoryMode)
            raise errors.UsageError(f"{mode!r} is no mode of a category: give one of {known}") from None
        self._set_category(category, mode=found)

    def set_category_resources_max(self, category: str, resources: Mapping[str, float]) -> None:
        """What the category's tasks have of each kind, at most: {"cores": 1, "memory": MB, "disk": MB, "gpus": 0}.

        A task's own `set_memory` and so on go before it.
        """
        self._set_category(category, most=_request(resources))

    def set_category_resources_min(self, category: str, resources: Mapping[str, float]) -> None:
        """What the category's tasks have of each kind, at least, whatever is measured; as for the maximum.

        A task's own figures go before it. Where there is no other figure they have as much, and are not killed for it.
        """
        self._set_category(category, least=_request(resources))

    def set_category_first_allocation_guess(self, category: str, resources: Mapping[str, float]) -> None:
        """In modes that measure: what the category's tasks have until enough of them have been."""
        self._set_category(category, first=_request(resources))

    def set_category_max_concurrent(self, category: str, count: int | None) -> None:
        """No more of the category's tasks are on workers at once; None undoes it."""
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 0):
            raise errors.UsageError(f"{count!r} is no number of tasks: give 0 or more, or None")
        self._set_category(category, concurrent_max=count)

    def block_host(self, hostname: str) -> None:
        """Give the workers of a host no more tasks; what runs there goes on, and others may fetch their files."""
        self._set_hosts((hostname,), HostStanding.BLOCKED)

    def block_host_with_timeout(self, hostname: str, seconds: float) -> None:
        """As `block_host`, for so long."""
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds <= 1e9:
            raise errors.UsageError(f"{seconds!r} is no time in seconds: give a number of at least 0")
        self._set_hosts((hostname,), HostStanding.BLOCKED, float(seconds))

    def unblock_host(self, hostname: str | None = None) -> None:
        """Use a host again that was blocked or drained; None for all of them."""
        self._set_hosts(() if hostname is None else (hostname,), HostStanding.OPEN)

    def set_draining_by_hostname(self, hostname: str, draining: bool = True) -> None:
        """Give the workers of a host no more tasks, and end them when theirs have ended; False undoes it.

        What only they have of temps goes with them, and is made again if tasks need it: `replicate` what is dear.
        """
        self._set_hosts((hostname,), HostStanding.DRAINING if draining else HostStanding.OPEN)

    def _set_hosts(self, hostnames: tuple[str, ...], standing: HostStanding, seconds: float | None = None) -> None:
        for name in hostnames:
            if not isinstance(name, str) or not 1 <= len(name) <= config.name_chars_max:
                raise errors.UsageError(f"{name!r} is no hostname: give one as `vine-status` shows it")
        self._session.say(SetHosts(hostnames, standing, seconds))

    def _set_category(self, category: str, **changes: object) -> None:
        before = self._categories.get(category) or CategorySpec(amounts.name("category", category))
        spec = msgspec.structs.replace(before, **changes)
        _check_order(spec)
        self._categories[category] = spec
        self._session.say(SetCategory(spec))


def _check_order(spec: CategorySpec) -> None:
    """UsageError where a category's tasks are to have more than they may have."""
    for kind, field in _FIELDS.items():
        most = getattr(spec.most, field)
        for what, request in (("minimum", spec.least), ("first guess", spec.first)):
            figure = getattr(request, field)
            if most is not None and figure is not None and figure > most:
                raise errors.UsageError(
                    f"the {what} of {kind} of category '{spec.name}', {figure:g}, is above its maximum, {most:g}: "
                    "lower it, or raise the maximum with set_category_resources_max() first"
                )


def _request(resources: Mapping[str, float]) -> Request:
    if not isinstance(resources, Mapping):
        raise errors.UsageError(f"{resources!r} are no resources: give a mapping, such as {{'memory': 500}}")
    unknown = sorted(set(resources) - set(_FIELDS))
    if unknown:
        raise errors.UsageError(f"there are no resources {', '.join(map(repr, unknown))}: give {', '.join(_FIELDS)}")
    return Request(**{_FIELDS[kind]: amounts.amount(kind, value) for kind, value in resources.items()})
