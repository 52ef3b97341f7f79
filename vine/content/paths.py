"""Which names may the members of a folder or archive have, and where do links lead?"""

from __future__ import annotations

from collections.abc import Mapping

_LINKS_FOLLOWED_MAX = 40  # Linux gives up a look-up there (ELOOP), so nothing behind it can be reached.
_PARTS_REFUSED = frozenset(("", ".", ".."))


def fault_of_name(name: str) -> str | None:
    """What is wrong with a member's name (relative, with plain components), or None."""
    if not name or "\0" in name:
        return "is empty or holds a NUL"
    if not name.isascii() and not is_utf8(name):
        return "is no UTF-8"
    if name.startswith("/"):
        return "is absolute"
    if not _PARTS_REFUSED.isdisjoint(name.split("/")):
        return "has an empty, '.' or '..' component"
    return None


def is_utf8(name: str) -> bool:
    """Bytes that are not come as surrogates, which no message can carry."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def parent_of(name: str) -> str:
    """The folder that a member lies in; "" is the root."""
    return name.rpartition("/")[0]


def leads_out(path: str, target: str, links: Mapping[str, str]) -> bool:
    """Whether a link at `path` to `target` leaves the root, with every link of `links` followed.

    Judged by names alone: a path that ends nowhere does not lead out. One that runs in a circle does: the
    kernel refuses to follow it, but programs that resolve names themselves go on from where the circle began.
    """
    here = [part for part in parent_of(path).split("/") if part]
    if not target or target.startswith("/"):
        return True
    ahead = target.split("/")[::-1]
    followed = 1
    while ahead:
        part = ahead.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if not here:
                return True
            here.pop()
            continue
        here.append(part)
        next_target = links.get("/".join(here))
        if next_target is None:
            continue
        followed += 1
        if followed > _LINKS_FOLLOWED_MAX:
            return True
        if next_target.startswith("/"):
            return True
        here.pop()
        ahead.extend(next_target.split("/")[::-1])
    return False
