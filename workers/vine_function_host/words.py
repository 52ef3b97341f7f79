"""What can be said of how a call has ended, whatever the user's classes do."""

from __future__ import annotations

import sys

WORDS_CHARS_MAX = 1000  # Of an exception, for those who may not unpickle it.


def exit_code_of(request: SystemExit) -> int:
    """The code with which Python would have ended."""
    if request.code is None:
        return 0
    if isinstance(request.code, int):
        return request.code & 0xFF
    sys.stderr.write(f"{request.code}\n")
    return 1


def safe_words(error: BaseException) -> str:
    """The exception in one line."""
    try:
        words = f"{type(error).__qualname__}: {error}"
    except Exception:  # noqa: BLE001 - the user's __str__
        words = type(error).__qualname__
    return " ".join(words.split())[:WORDS_CHARS_MAX].rstrip(": ")


def flush_output() -> None:
    """The log shows what a call printed when the call is over."""
    for stream in (sys.stdout, sys.stderr):
        try:  # noqa: SIM105 - this is done in each call, and twice as fast as it would be with an object
            stream.flush()
        except (AttributeError, ValueError, OSError):
            pass  # The call closed or replaced it.
