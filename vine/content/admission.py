"""Which members may an archive have, so that nothing leaves its folder and every reader sees the same?"""

from __future__ import annotations

from dataclasses import dataclass

from vine import config
from vine.content.paths import fault_of_name, leads_out, parent_of
from vine.content.tar_stream import Kind, Member
from vine.errors import UnsafeArchive

_LENDS_IDENTITY = 0o6000  # set-user-id, set-group-id
_SHOWN_CHARS = 80


@dataclass(frozen=True, slots=True)
class Link:
    """One that is made when all files are there: until then nothing can be written through it."""

    name: str
    target: str
    hard: bool  # the target is then a file's name in the archive


def name_of(member: Member) -> str:
    """The member's name in its plain form, "" for the folder itself; UnsafeArchive for what no archive may have.

    What is refused here can be judged without the other members, in any order.
    """
    name = plain_name(member.name, "member")
    if member.kind is Kind.OTHER:
        raise UnsafeArchive(f"the member {shown(member.name)} is no file, folder or link: leave it out")
    if member.kind is Kind.FILE and member.mode & _LENDS_IDENTITY:
        raise UnsafeArchive(f"the member {shown(name)} would run as another user (set-user-id): take that bit away")
    if not name and member.kind is not Kind.FOLDER:
        raise UnsafeArchive("it has a member without a name: make it again")
    return name


def plain_name(name: str, what: str) -> str:
    """A name as tar programs write it ("./a/b/") in its plain form ("a/b")."""
    if len(name) > config.archive_name_chars_max or name.count("/") > config.archive_depth_max:
        raise UnsafeArchive(
            f"the {what} {shown(name)} has {len(name)} characters in {name.count('/') + 1} parts, at most "
            f"{config.archive_name_chars_max} and {config.archive_depth_max} are taken: shorten it"
        )
    if fault_of_name(name) is None:
        return name
    plain = "/".join(part for part in name.split("/") if part not in ("", "."))
    fault = fault_of_name("/" if name.startswith("/") else plain or "root")
    if fault is not None:
        raise UnsafeArchive(f"the {what} {shown(name)} {fault}: make it with names that stay inside")
    return plain


def shown(name: str) -> str:
    """A name in a message: in one line, and not too long."""
    return repr(name if len(name) <= _SHOWN_CHARS else name[:_SHOWN_CHARS] + "...")


class Admission:
    """Takes the members in their order and refuses those that do not go together."""

    def __init__(self) -> None:
        self._kinds: dict[str, Kind] = {"": Kind.FOLDER}
        self._targets: dict[str, str] = {}
        self._links: list[Link] = []

    def admit(self, name: str, member: Member) -> None:
        """The next member, by what `name_of` says of it."""
        if not name:
            return  # "./", the folder itself.
        self._admit_parents(parent_of(name))
        old = self._kinds.get(name)
        if old is not None and (old, member.kind) != (Kind.FOLDER, Kind.FOLDER):
            raise UnsafeArchive(
                f"the {member.kind.value} {shown(name)} is there already as a {old.value}: make it again"
            )
        kind = member.kind
        if kind is Kind.LINK:
            self._admit_link(name, member.target)
        elif kind is Kind.HARD_LINK:
            kind = self._admit_hard_link(name, plain_name(member.target, "hard link to"))
        self._kinds[name] = kind

    def links(self) -> list[Link]:
        """The links, in the order in which they can be made, now that all members are known: one may lead through
        others."""
        for name, target in self._targets.items():
            if leads_out(name, target, self._targets):
                raise UnsafeArchive(f"the link {shown(name)} to {shown(target)} leads out of the archive: leave it out")
        return self._links

    def _admit_parents(self, folder: str) -> None:
        kind = self._kinds.get(folder)
        if kind is Kind.FOLDER:
            return
        if kind is not None:
            raise UnsafeArchive(f"it has members behind the {kind.value} {shown(folder)}: make it without them")
        self._admit_parents(parent_of(folder))
        self._kinds[folder] = Kind.FOLDER

    def _admit_link(self, name: str, target: str) -> None:
        if not target or "\0" in target or len(target) > config.archive_name_chars_max:
            raise UnsafeArchive(f"the link {shown(name)} leads nowhere: leave it out")
        self._targets[name] = target
        self._links.append(Link(name, target, hard=False))

    def _admit_hard_link(self, name: str, first: str) -> Kind:
        kind = self._kinds.get(first)
        if kind is Kind.LINK:  # It becomes one more link, and is judged as one.
            self._admit_link(name, self._targets[first])
            return Kind.LINK
        if kind not in (Kind.FILE, Kind.HARD_LINK):
            raise UnsafeArchive(
                f"the hard link {shown(name)} is to {shown(first)}, which is no file before it: make it again"
            )
        self._links.append(Link(name, first, hard=True))
        return Kind.HARD_LINK
