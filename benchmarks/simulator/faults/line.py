"""How does a process talk to the manager: the true link, on a simulated socket."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from benchmarks.simulator.faults.process import Process
from benchmarks.simulator.faults.wires import Dealer, Wires
from vine.errors import VineError
from vine.names import RunId
from vine.wire.keys import Connection, KeyPair
from vine.wire.link import Link
from vine.wire.messages import Message
from vine.wire.parts import Role
from vine.wire.session import SESSION_BYTES
from vine.wire.sockets import Context, HandshakeWatch, Socket

_NO_KEY = KeyPair(b"", b"")


class _SimulatedLink(Link):
    """A link whose socket is given, and whose dice are the simulation's."""

    def __init__(
        self, dealer: Dealer, dice: random.Random, union: Any, hello: Callable[[], Message], lost_after_s: float | None
    ) -> None:
        self._dealer = dealer
        self._dice = dice
        connection = Connection(dealer.role, RunId("simulated"), Path("/run"), "simulated", _NO_KEY, b"", b"")
        super().__init__(cast(Context, None), connection, union, hello, dealer.process.now(), lost_after_s)

    def _connect(self, context: Context, connection: Connection) -> tuple[Socket, HandshakeWatch]:
        return cast(Socket, self._dealer), cast(HandshakeWatch, self._dealer)

    def _new_session_id(self) -> bytes:
        return self._dice.randbytes(SESSION_BYTES)


class Line:
    """A link with its turns: as soon as there is something to take or to say, and when it has a deadline."""

    def __init__(
        self,
        wires: Wires,
        name: str,
        role: Role,
        process: Process,
        dice: random.Random,
        union: Any,
        hello: Callable[[], Message],
        hear: Callable[[Message], None],
        lost: Callable[[VineError], None],
        lost_after_s: float | None = None,
    ) -> None:
        """`lost` is told once, and then nothing is heard any more. `lost_after_s` is as in `Link`."""
        self._process = process
        self._hear = hear
        self._lost = lost
        self._over = False
        self._turn_comes = False
        self._look_at = float("inf")
        self.dealer = Dealer(wires, name, role, process, self._soon)
        self.link = _SimulatedLink(self.dealer, dice, union, hello, lost_after_s)
        self._soon()

    def send(self, message: Message) -> None:
        self.link.send(message)
        self._soon()

    def send_kept(self, message: Message, again: bool) -> None:
        self.link.send_kept(message, again)
        self._soon()

    def close(self) -> None:
        """What was said before goes out."""
        if not self._over:
            self.link.flush(self._process.now())
            self._over = True

    def _soon(self) -> None:
        if not self._turn_comes:
            self._turn_comes = True
            self._process.after(0, self._turn)

    def _look(self, due: float) -> None:
        if due == self._look_at:  # Else an earlier one was arranged instead.
            self._look_at = float("inf")
            self._turn()

    def _turn(self) -> None:
        self._turn_comes = False
        if self._over:
            return
        now = self._process.now()
        for message in self.link.receive(now):
            self._hear(message)
        self.link.flush(now)
        try:
            self.link.check(now)
        except VineError as error:
            self._over = True
            self._lost(error)
            return
        if self.dealer.inbox:
            self._soon()
        due = self.link.deadline()
        if due < self._look_at:
            self._look_at = due
            self._process.at(due, lambda: self._look(due))
