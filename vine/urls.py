"""Which URLs can be declared, and how are they shown without the secrets in them?"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from vine import config, errors

_SCHEMES = ("http", "https", "file")
_plain = re.compile(r"[!-~]+")


def checked_url(url: str) -> str:
    """The URL as a worker takes it, its scheme in small letters; UsageError if none can."""
    if not isinstance(url, str):
        raise errors.UsageError(f"{url!r} is no URL: give text such as 'https://example.org/data.tar.gz'")
    if not url:
        raise errors.UsageError("the URL is empty: give one such as 'https://example.org/data.tar.gz'")
    shown = _shown(url)
    if not _plain.fullmatch(url):
        raise errors.UsageError(f"the URL {shown!r} has spaces or other than ASCII letters: urllib.parse.quote() them")
    if len(url) > config.url_chars_max:
        raise errors.UsageError(f"the URL {shown[:80]!r}... is longer than {config.url_chars_max} letters: use a file")
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:  # What it says may quote a password.
        raise errors.UsageError(f"{shown!r} is no URL: its host or port cannot be read") from None
    scheme = parts.scheme.lower()
    if scheme not in _SCHEMES:
        named = f"scheme {scheme!r}" if scheme else "no scheme"
        raise errors.UsageError(f"the URL {shown!r} has {named}: workers take {', '.join(_SCHEMES)}")
    if scheme == "file":
        if host not in (None, "localhost") or not parts.path.startswith("/"):
            raise errors.UsageError(f"the URL {shown!r} names no file of the worker's host: write file:///path/to/it")
    elif not host:
        raise errors.UsageError(f"the URL {shown!r} names no host")
    return parts._replace(scheme=scheme, fragment="").geturl()


def label_of(url: str) -> str:
    """A checked URL for people: without user, password and query, which may hold secrets."""
    parts = urlsplit(url)
    query = "?..." if parts.query else ""
    return (f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" + query)[: config.text_chars_max]


def _shown(url: str) -> str:
    """The same of what may be no URL at all."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    return f"{scheme}{separator}{rest.rpartition('@')[2].partition('?')[0]}"
