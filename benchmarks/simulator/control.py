"""How do control messages get from one simulated program to another: late, in order, and as bytes if asked for?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.simulator.network import Network, Port
from vine.wire.codec import Decoder, encode_one
from vine.wire.messages import Message


@dataclass(frozen=True, slots=True)
class Control:
    """What is simulated of control messages beside their latency."""

    encoded: bool = False  # each is encoded and decoded as it would be
    weighed: bool = False  # its bytes take their share of the links


class Channel:
    """One direction between two programs."""

    def __init__(
        self,
        network: Network,
        source: Port,
        target: Port,
        decoder: Decoder[Any],
        deliver: Callable[[Any], None],
        control: Control,
    ) -> None:
        self._pipe = network.pipe(source, target, deliver)
        self._decoder = decoder
        self._control = control

    def send(self, message: Message) -> None:
        """Nobody hears what is said to those who are gone."""
        if self._pipe.broken:
            return
        size = 0
        if self._control.encoded or self._control.weighed:
            data = encode_one(message)
            size = len(data) if self._control.weighed else 0
            message = self._decoder.decode_one(data)
        self._pipe.send(message, size)
