"""How fast does each flow go, when links share what they can carry fairly among those that want it?

Max-min fair: no flow can go faster but by making one slow down that is not faster than it. Each flow
crosses two links (the up link of one node, the down link of another). A link's level is what it lets
a single flow have: the highest for which its flows, each at the lower of its two levels, fill it.
That the levels agree with each other at all links is the same as max-min fairness (each flow has
a full link on which none is faster: Bertsekas and Gallager, Data Networks, 6.5.2), so a change has to
be followed only to those links whose level it does change.
"""

from __future__ import annotations

import math
from collections.abc import Callable

_UNLIMITED = math.inf


class Link:
    """One direction of a node's connection to the network."""

    __slots__ = ("bytes_per_s", "flows", "level", "name")

    def __init__(self, name: str, bytes_per_s: float) -> None:
        self.name = name
        self.bytes_per_s = bytes_per_s
        self.flows: dict[Flow, None] = {}
        self.level = _UNLIMITED  # bytes a second that it lets one flow have


class Flow:
    """Something that goes over two links as fast as it may."""

    __slots__ = ("down", "rate", "up")

    def __init__(self, up: Link, down: Link) -> None:
        self.up = up
        self.down = down
        self.rate = 0.0  # bytes a second


class Sharing:
    """The rates of all flows. They are right after `settle`, which tells whose rate has changed."""

    def __init__(self, tolerance: float = 1e-9) -> None:
        """A level that changes by less than this share of itself is taken for unchanged."""
        self._tolerance = tolerance
        self._unsettled: dict[Link, None] = {}
        self._changed: dict[Flow, None] = {}
        self.levels_found = 0  # the work done so far

    def start(self, flow: Flow) -> None:
        for link in (flow.up, flow.down):
            link.flows[flow] = None
            self._unsettled[link] = None
        self._changed[flow] = None

    def stop(self, flow: Flow) -> None:
        for link in (flow.up, flow.down):
            del link.flows[flow]
            self._unsettled[link] = None
        self._changed.pop(flow, None)
        flow.rate = 0.0

    def set_rate(self, link: Link, bytes_per_s: float) -> None:
        """The link carries more or less from now on."""
        link.bytes_per_s = bytes_per_s
        self._unsettled[link] = None

    def settle(self, changed: Callable[[Flow, float], None]) -> None:
        """Find the rates, and tell of each flow whose rate is to be another one; `changed` must set it."""
        unsettled, flows = self._unsettled, self._changed
        while unsettled:
            link = next(iter(unsettled))
            del unsettled[link]
            before, now = link.level, _level(link)
            self.levels_found += 1
            least = now if now < before else before
            if now == before or abs(now - before) <= self._tolerance * least:
                continue
            link.level = now
            for flow in link.flows:
                other = flow.down if flow.up is link else flow.up
                if least < other.level:  # Else the other one is what limits the flow, before and after.
                    unsettled[other] = None
                    flows[flow] = None
        for flow in flows:
            up, down = flow.up.level, flow.down.level
            rate = up if up < down else down
            if rate != flow.rate:
                changed(flow, rate)
        flows.clear()


def _level(link: Link) -> float:
    """What the link can let one flow have, if each takes no more than its other link lets it."""
    flows = link.flows
    left = len(flows)
    if left == 0:
        return _UNLIMITED
    capacity = link.bytes_per_s
    if left == 1:
        (flow,) = flows
        other = flow.down if flow.up is link else flow.up
        return _UNLIMITED if other.level < capacity else capacity
    limits = sorted([flow.down.level if flow.up is link else flow.up.level for flow in flows])
    for limit in limits:
        if limit * left >= capacity:
            return capacity / left
        capacity -= limit
        left -= 1
    return _UNLIMITED
