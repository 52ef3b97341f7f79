"""What of the worker's cores, memory, disk and GPUs is free, and which GPU devices does an attempt get?"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass

from vine.wire.parts import Resources

_PARTS = 1000  # Amounts are counted in thousandths, so that fractions add up exactly.


@dataclass(frozen=True, slots=True)
class Grant:
    """What an attempt holds until it ends."""

    resources: Resources
    devices: tuple[int, ...] = ()  # numbers of the GPUs that it may see


Parts = tuple[int, int, int]  # of cores, memory and disk
NOTHING: Parts = (0, 0, 0)


def parts(resources: Resources) -> Parts:
    return (
        round(resources.cores * _PARTS),
        round(resources.memory_mb * _PARTS),
        round(resources.disk_mb * _PARTS),
    )


class Ledger:
    """Who holds how much; nothing is ever granted twice."""

    def __init__(self, capacity: Resources) -> None:
        self.capacity = capacity
        self._total = parts(capacity)
        self._free = self._total
        self._device_free = [_PARTS] * int(capacity.gpus)

    def could_fit(self, wanted: Resources) -> bool:
        """Whether it would fit if nothing else ran."""
        fits = all(want <= total for want, total in zip(parts(wanted), self._total, strict=True))
        return fits and len(self._choose_devices(wanted.gpus, [_PARTS] * len(self._device_free)) or ()) >= wanted.gpus

    def take(self, wanted: Resources, kept: Parts = NOTHING) -> Grant | None:
        """The grant, or None while it does not fit beside what is kept for others."""
        cores, memory, disk = parts(wanted)
        free_cores, free_memory, free_disk = self._free
        if cores > free_cores - kept[0] or memory > free_memory - kept[1] or disk > free_disk - kept[2]:
            return None
        devices = self._choose_devices(wanted.gpus, self._device_free) if wanted.gpus else ()
        if devices is None:
            return None
        self._free = (free_cores - cores, free_memory - memory, free_disk - disk)
        for device in devices:
            self._device_free[device] -= _share(wanted.gpus)
        return Grant(wanted, devices)

    def would_fit(self, wanted: Resources, kept: Parts, coming: Iterable[Grant]) -> bool:
        """Whether `take` would give a grant once these have come back."""
        then = copy(self)
        then._device_free = list(self._device_free)
        for grant in coming:
            then.give_back(grant)
        return then.take(wanted, kept) is not None

    def lacks_only_gpus(self, wanted: Resources) -> bool:
        """Whether it would fit if GPUs were free."""
        fits = all(want <= free for want, free in zip(parts(wanted), self._free, strict=True))
        return fits and self._choose_devices(wanted.gpus, self._device_free) is None

    def give_back(self, grant: Grant) -> None:
        cores, memory, disk = parts(grant.resources)
        free_cores, free_memory, free_disk = self._free
        self._free = (free_cores + cores, free_memory + memory, free_disk + disk)
        for device in grant.devices:
            self._device_free[device] += _share(grant.resources.gpus)
        self.check()

    @property
    def idle(self) -> bool:
        return self._free == self._total and all(free == _PARTS for free in self._device_free)

    def check(self) -> None:
        assert all(0 <= free <= total for free, total in zip(self._free, self._total, strict=True)), "more than all"
        assert all(0 <= free <= _PARTS for free in self._device_free), "a device was given twice"

    @staticmethod
    def _choose_devices(gpus: float, free: list[int]) -> tuple[int, ...] | None:
        """Whole devices, or for a fraction the fullest device that still has room for it."""
        if gpus == 0:
            return ()
        if gpus >= 1:
            whole = [device for device, parts in enumerate(free) if parts == _PARTS]
            count = -int(-gpus // 1)  # One and a half GPUs are two devices.
            return tuple(whole[:count]) if len(whole) >= count else None
        share = _share(gpus)
        fitting = [(parts, device) for device, parts in enumerate(free) if parts >= share]
        return (min(fitting)[1],) if fitting else None


def _share(gpus: float) -> int:
    """What one device gives to a holder of so many GPUs."""
    return _PARTS if gpus >= 1 else round(gpus * _PARTS)
