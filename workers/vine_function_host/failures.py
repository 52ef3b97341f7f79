"""How does an exception travel: as itself where it can, with its traceback as text, else in words."""

from __future__ import annotations

import os
import traceback
from typing import TYPE_CHECKING

from vine_function_host.words import safe_words

if TYPE_CHECKING:
    from vine_function_host.registered import Registered
    from vine_function_host.serialiser import Serialiser

_FOLDER = os.path.dirname(__file__)


def text_of(error: BaseException) -> str:
    """Its traceback. Our own frames above the function say nothing to its author."""
    trace = error.__traceback__
    while trace is not None and os.path.dirname(trace.tb_frame.f_code.co_filename) == _FOLDER:
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace))


def dump_exception(serialiser: Serialiser, error: BaseException, registered: Registered | None = None) -> bytes:
    """The exception with its traceback as text; one that does not survive the way is told in words."""
    text = text_of(error)
    try:
        (data,) = serialiser.dump((error, text), registered)
        serialiser.load(data, registered)  # Many exceptions go out and do not come in.
    except Exception:  # noqa: BLE001 - the user's own reducers raise what they like
        (data,) = serialiser.dump((RuntimeError(safe_words(error)), text))
    return bytes(data)
