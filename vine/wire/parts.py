"""What are messages made of: bounded types, enums, and structures, each of which travels as an array of its fields."""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec

from vine import config
from vine.names import AttemptId, FileId, ObjectId, TaskId, WorkerId

NAMED = msgspec.Meta(min_length=1, max_length=config.name_chars_max)
Name = Annotated[str, NAMED]
Text = Annotated[str, msgspec.Meta(max_length=config.text_chars_max)]
Command = Annotated[str, msgspec.Meta(max_length=config.command_chars_max)]
Path = Annotated[str, msgspec.Meta(min_length=1, max_length=config.path_chars_max, pattern=r"^[^\0]*\Z")]
Url = Annotated[str, msgspec.Meta(max_length=config.url_chars_max, pattern=r"^(https?|file)://[!-~]+\Z")]
Endpoint = Annotated[str, msgspec.Meta(pattern=r"^tcp://[^\s/]{1,255}:[0-9]{1,5}\Z")]
Hash = Annotated[ObjectId, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
Inline = Annotated[bytes, msgspec.Meta(max_length=config.inline_bytes_hard_max)]
Amount = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=config.told_s_max)]
WallTime = Annotated[float, msgspec.Meta(ge=0, le=1e11)]  # seconds since the epoch
COUNT_MAX = 2**63 - 1  # what SQLite keeps as an integer
Count = Annotated[int, msgspec.Meta(ge=0, le=COUNT_MAX)]
Token = Annotated[bytes, msgspec.Meta(min_length=16, max_length=32)]
TaskNumber = Annotated[TaskId, msgspec.Meta(ge=0, le=COUNT_MAX)]
FileNumber = Annotated[FileId, msgspec.Meta(ge=0, le=COUNT_MAX)]


class Part(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What messages are made of. None refers to what refers to it, so the garbage collector passes them over."""


class Role(enum.Enum):
    """Who a key pair belongs to."""

    SERVER = "server"
    CLIENT = "client"
    WORKER = "worker"
    FACTORY = "factory"


class FileKind(enum.Enum):
    LOCAL = "local"  # a file or directory at a path of the client
    BUFFER = "buffer"  # bytes of the client
    TEMP = "temp"  # lives on workers only
    UNTAR = "untar"  # made on the worker by unpacking another file
    URL = "url"  # downloaded by one worker
    MINITASK = "minitask"  # made by a task of its own, on a worker, when a task first needs it


class CacheLevel(enum.Enum):
    TASK = "task"  # dropped when no known task needs it
    WORKFLOW = "workflow"  # until the client that declared it leaves
    WORKER = "worker"  # until the worker exits
    FOREVER = "forever"  # for the workers that start in the same workspace after it, too


class TaskKind(enum.Enum):
    COMMAND = "command"  # a shell command in a sandbox
    PYTHON = "python"  # a function in a fresh interpreter
    CALL = "call"  # a function on a warm host
    FORK = "fork"  # a function in a fork of a warm host
    LIBRARY = "library"  # a function of a library, on a host that has loaded it

    __hash__ = object.__hash__  # Enum's own is a function in Python, and kinds are looked up for each task.


class When(enum.Enum):
    """After which ends of a task an output of it is taken."""

    SUCCESS = "success"
    FAILURE = "failure"  # of any kind but that it was cancelled
    ALWAYS = "always"

    def holds(self, succeeded: bool) -> bool:
        return self is When.ALWAYS or (self is When.SUCCESS) == succeeded


class Outcome(enum.Enum):
    """How an attempt or a task ended; the first line of a user's error comes from it."""

    SUCCESS = "success"
    EXIT_CODE = "exit-code"  # the command or interpreter ended with a code other than 0
    EXCEPTION = "exception"  # the function raised: `value` holds the serialised exception
    NOT_SERIALISABLE = "not-serialisable"  # the function returned what neither pickle nor dill can carry
    KILLED = "killed"  # a signal ended it, and it was not ours
    TIME_LIMIT = "time-limit"  # these five: it took more than it was allowed, and was killed for that
    MEMORY_LIMIT = "memory-limit"
    DISK_LIMIT = "disk-limit"
    PROCESS_LIMIT = "process-limit"
    OUTPUT_LIMIT = "output-limit"
    FIXED_LOCATION_MISSING = "fixed-location-missing"  # no worker has all of its strict inputs
    END_TIME = "end-time"  # it had not ended by the time by which it was to
    FORSAKEN = "forsaken"  # workers have given it back without having run it more often than it allows
    CANCELLED = "cancelled"
    OUTPUT_MISSING = "output-missing"  # it succeeded without making an output that it had promised
    INPUT_MISSING = "input-missing"  # an input does not exist, or its declaration failed
    INPUT_CHANGED = "input-changed"  # a local file is no longer what was declared
    INPUT_ALTERED = "input-altered"  # the task wrote to an input that it shares with others
    DEPENDENCY_FAILED = "dependency-failed"  # a task whose result it takes did not succeed
    NO_WORKER_FITS = "no-worker-fits"  # it asks for more than any worker that could come has
    WORKER_LOST = "worker-lost"  # every allowed attempt ended with the loss of its worker
    DISK_FULL = "disk-full"  # its data did not fit into the space of any worker tried
    PYTHON_MISMATCH = "python-mismatch"  # code of its function or arguments is of another Python than it was to run on
    START_FAILED = "start-failed"  # the interpreter or function host could not be started
    UNPREPARED = "unprepared"  # no worker tried could make its folder, or start anything: their disks, their limits
    TRANSFER_FAILED = "transfer-failed"  # no source could deliver an input or output
    LIBRARY_FAILED = "library-failed"  # its library could not be loaded, or died: `value` may hold the exception
    LIBRARY_MISSING = "library-missing"  # its library was removed, or has no such function


class Resources(Part, frozen=True):
    """What a worker has or an attempt is given."""

    cores: Amount = 0.0
    memory_mb: Amount = 0.0
    disk_mb: Amount = 0.0
    gpus: Amount = 0.0


class Request(Part, frozen=True):
    """What a task asks for; None is shared out in proportion to what it names."""

    cores: Amount | None = None
    memory_mb: Amount | None = None
    disk_mb: Amount | None = None
    gpus: Amount | None = None


class Limits(Part, frozen=True):
    """What an attempt is killed for exceeding; None does not limit."""

    memory_mb: Amount | None = None  # of all its processes together
    disk_mb: Amount | None = None  # that it writes itself: its inputs are shared


class Measured(Part, frozen=True):
    """What a body has used."""

    cpu_s: Seconds = 0.0  # of all its processes
    memory_mb: Amount = 0.0  # the most that they had at once
    disk_mb: Amount | None = 0.0  # the most that lay in its sandbox; None for one too short to be looked at
    processes: Count = 0  # the most that there were at once; 0 for one too short to be looked at


class TreeEntry(Part, frozen=True):
    """One member of a directory object; `target` is set for symbolic links, size -1 for folders."""

    path: Path
    mode: Annotated[int, msgspec.Meta(ge=0, le=0o777)]
    size: Annotated[int, msgspec.Meta(ge=-1, le=2**63 - 1)]
    target: Annotated[str, msgspec.Meta(max_length=config.path_chars_max)] | None = None


class Manifest(Part, frozen=True):
    """What an object's bytes are: `hashes` holds 32 bytes of BLAKE3 a chunk, in order.

    A directory has `tree`, sorted by path; its chunks run over its files joined in that order.
    """

    version: int
    size: Count
    chunk_bytes: Annotated[int, msgspec.Meta(gt=0, le=config.chunk_bytes_max)]
    hashes: bytes
    tree: tuple[TreeEntry, ...] | None = None


class Signature(Part, frozen=True):
    """What the file system says of a local file's version: enough to notice a change."""

    size: Count
    mtime_ns: int
    ctime_ns: int


class FileSpec(Part, frozen=True):
    """A declared file. `data` is set for small buffers; `path` for local files and staged buffers. A local file, or a
    buffer too large to travel inline, is bound by a `FileBound` that follows.
    """

    file_id: FileNumber
    kind: FileKind
    cache: CacheLevel
    label: Text  # what users see in messages: a path, "buffer", "temp"
    path: Path | None = None
    data: Inline | None = None
    source: FileNumber | None = None  # of UNTAR: the archive
    peer_transfer: bool = True
    exists: bool = True  # of LOCAL: False when there was nothing at the path when it was declared
    url: Url | None = None  # of URL; it may hold secrets, which the label does not
    recipe: TaskSpec | None = None  # of MINITASK: the task that makes it, and nothing else
    unlink: bool = False  # of LOCAL: what lies at the path goes when the file is neither declared nor needed any more


class Mount(Part, frozen=True):
    """A task's use of a file: the name it has in the sandbox."""

    file_id: FileNumber
    name: Path
    when: When = When.SUCCESS  # of an output: after such an end it is taken
    watched: bool = False  # of an output at a path: what is added to it comes there while the task runs
    optional: bool = False  # of an output: a task that succeeds without making it has not failed


class HostStanding(enum.Enum):
    """Whether the workers of a host are given tasks."""

    OPEN = "open"
    BLOCKED = "blocked"  # they get none, and stay: what runs there goes on, and their files are sources
    DRAINING = "draining"  # they get none, and end when theirs have ended


class CategoryMode(enum.Enum):
    """Where tasks of a category get the figures from that they do not give themselves."""

    FIXED = "fixed"  # from the category's maximum
    # From what they have used; one that exceeds such a figure has the category's maximum in a second try.
    MAX = "max"  # the most
    MAX_THROUGHPUT = "max throughput"  # what lets most tasks end, second tries counted
    MIN_WASTE = "min waste"  # what wastes least, second tries counted


class CategorySpec(Part, frozen=True):
    """What a client says of its tasks of one category."""

    name: Name
    mode: CategoryMode = CategoryMode.FIXED
    most: Request = Request()
    first: Request = Request()  # until enough of them have been measured, of modes that measure
    concurrent_max: Count | None = None  # so many are on workers at once
    least: Request = Request()  # none of the category's figures is below these


class Policy(Part, frozen=True):
    """What a task says of how it is to be run, beside its resources."""

    enforce: bool = True  # kill it when it uses more memory or disk than it asked for
    starts_at_s: WallTime | None = None  # it waits until then
    ends_at_s: WallTime | None = None  # it is ended then, whether it has begun or not
    category: Annotated[str, msgspec.Meta(max_length=config.name_chars_max)] = ""  # of the client's own; "" is none
    strict: tuple[FileNumber, ...] = ()  # inputs without which a worker may not be given it
    time_min_s: Seconds = 0.0  # a worker that ends sooner is not given it
    forsaken_max: Count | None = None  # workers may give it back so often without having run it


class LibrarySpec(Part, frozen=True):
    """Functions that a worker loads together, once, for many calls. The number of their file is the library's."""

    file_id: FileNumber
    name: Name
    functions: tuple[Name, ...]
    environment: FileNumber | None = None  # as that of a task
    request: Request = Request()  # of all its calls on a worker together
    slots: Annotated[int, msgspec.Meta(ge=1, le=config.library_slots_max)] | None = None  # None: one a core
    forks: bool = True  # for each call; else a slot's calls run one after another in one process


class TaskSpec(Part, frozen=True):
    """A submitted task. `function` is a buffer holding the serialised function; `payload` the serialised arguments, or
    `payload_file` where they are too long to travel inline. The arguments refer to the results of other tasks by
    position in `depends`. Of a call of a library, `function` is its number, and `command` the function's name in it.
    """

    task_id: TaskNumber
    kind: TaskKind
    command: Command = ""
    function: FileNumber | None = None
    payload: Inline = b""
    payload_file: FileNumber | None = None
    depends: tuple[TaskNumber, ...] = ()
    inputs: tuple[Mount, ...] = ()
    outputs: tuple[Mount, ...] = ()
    variables: dict[Name, Text | None] = {}  # None: not set, though the worker's own is
    environment: FileNumber | None = None  # an UNTAR file whose bin/ is put in front of PATH
    request: Request = Request()
    priority: Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)] = 0.0
    retries: Count = 0  # after a failure of its own; the loss of a worker is not counted here
    time_limit_s: Seconds | None = None
    features: tuple[Name, ...] = ()
    label: Text = ""  # what users see: the function's name or the command's start
    tag: Text = ""
    policy: Policy | None = None  # None is that of `Policy()`: most tasks say nothing of it
    shared: tuple[FileNumber, ...] = ()  # values that its arguments refer to, by position, and others' may, too


class Times(Part, frozen=True):
    """Where an attempt's time on its worker went."""

    stage_in_s: Seconds = 0.0  # from its arrival until every input was there and verified
    wait_s: Seconds = 0.0  # from then until it started
    run_s: Seconds = 0.0  # the body alone
    collect_s: Seconds = 0.0  # taking its outputs into the store


class TaskResult(Part, frozen=True):
    """A task's committed end, as its client hears it."""

    task_id: TaskNumber
    outcome: Outcome
    exit_code: int | None = None
    value: bytes | None = None  # serialised result or exception
    value_path: Path | None = None  # where a value over the inline limit lies; the reader removes it
    message: Text = ""  # what went wrong and what to do, in one line
    stdout: bytes = b""
    stderr: bytes = b""
    spilled: Text | None = None  # where both lie whole on that host, if one was longer than this; "" if nowhere
    worker_id: WorkerId | None = None
    hostname: Text = ""
    attempts: Count = 1
    times: Times = Times()
    task_s: Seconds = 0.0  # from assignment to a worker until its result, by the manager's clock
    queue_s: Seconds = 0.0  # from submission until that assignment
    measured: Measured | None = None  # of its last attempt; None for a call too short to be measured
    allotment: Resources | None = None  # ... and what that was given
    remote: bool = False  # It succeeded, and its value stays on workers until you ask for it.


class MadeOutput(Part, frozen=True):
    """An output that an attempt has left on its worker."""

    file_id: FileNumber
    object_id: Hash
    manifest: Manifest


class AttemptResult(Part, frozen=True):
    """How an attempt ended. A large value waits on the worker as object `value_object`."""

    attempt: AttemptId
    outcome: Outcome
    exit_code: int | None = None
    value: Inline | None = None
    value_object: Hash | None = None
    value_manifest: Manifest | None = None
    outputs: tuple[MadeOutput, ...] = ()
    message: Text = ""
    stdout: bytes = b""
    stderr: bytes = b""
    spilled: Text | None = None
    times: Times = Times()
    measured: Measured | None = None


class BegunAttempt(Part, frozen=True):
    """An attempt whose body has begun, and perhaps ended, on a worker that comes back."""

    attempt: AttemptId
    task_id: TaskNumber


class FetchFault(enum.Enum):
    """Why a transfer ended without its object."""

    NONE = "none"
    SOURCE_GONE = "source-gone"  # it stopped answering
    SOURCE_BUSY = "source-busy"  # it serves its cap of others
    SOURCE_REFUSED = "source-refused"  # it does not have the object, or does not know the plan
    SOURCE_CHANGED = "source-changed"  # the local file there is no longer what was declared
    BAD_CHUNKS = "bad-chunks"  # its bytes failed the hash twice
    DISK_FULL = "disk-full"  # here
    ABANDONED = "abandoned"  # the manager withdrew it


class DownloadFault(enum.Enum):
    """Why a download ended without content. Down to `TRUNCATED` it would be the same on any worker."""

    NONE = "none"
    REFUSED = "refused"  # the server will not give it (4xx), or leads to where we do not follow
    UNTRUSTED = "untrusted"  # its certificate does not hold
    SERVER_FAILED = "server-failed"  # 5xx or 429 in every try
    TRUNCATED = "truncated"  # the body broke off in every try
    UNREACHABLE = "unreachable"  # no connection from here, or silence
    UNREADABLE = "unreadable"  # of file URLs: there is no such file here, or it may not be read
    DISK_FULL = "disk-full"  # here
    NOT_KEPT = "not-kept"  # its store could not take it: its disk errs, or a store beside it does not let go
    ABANDONED = "abandoned"  # the manager withdrew it


class ObjectMount(Part, frozen=True):
    """An attempt's use of an object: the name it has in the sandbox."""

    object_id: Hash
    name: Path


class DependencyValue(Part, frozen=True):
    """The result of a task that an attempt's arguments refer to: inline, or as an object."""

    task_id: TaskNumber
    value: Inline | None = None
    object_id: Hash | None = None


class LibraryOrder(Part, frozen=True):
    """What a worker is told of a call's library; the call's `allotment` is that of all its calls there together."""

    number: FileNumber
    name: Name
    slots: Annotated[int, msgspec.Meta(ge=1, le=config.library_slots_max)]
    forks: bool
    memory_mb: Amount | None = None  # the most that it and all its calls there may use together


class Assignment(Part, frozen=True):
    """An attempt for a worker. It starts when every object that it names is complete there."""

    attempt: AttemptId
    task_id: TaskNumber
    kind: TaskKind
    allotment: Resources
    command: Command = ""
    function: Hash | None = None
    payload: Inline = b""
    payload_object: Hash | None = None
    values: tuple[DependencyValue, ...] = ()
    inputs: tuple[ObjectMount, ...] = ()
    outputs: tuple[Mount, ...] = ()
    variables: dict[Name, Text | None] = {}
    environment: Hash | None = None
    time_limit_s: Seconds | None = None
    label: Text = ""
    limits: Limits | None = None
    library: LibraryOrder | None = None
    shared: tuple[Hash, ...] | None = ()  # On the wire None is as that of the assignment before it: see `alike`.


class InlineObject(Part, frozen=True):
    object_id: Hash
    data: Inline
    cache: CacheLevel = CacheLevel.WORKFLOW


class SourceEdge(Part, frozen=True):
    """A node that may be asked for an object's chunks: `token` proves to it that the manager said so."""

    source: WorkerId
    role: Role  # whose key its sockets have: SERVER for the manager, else WORKER
    requests_endpoint: Endpoint
    token: Token
    whole: bool = False  # It has all of it, and so no excuse to be silent.


class WorkDemand(Part, frozen=True):
    """How many tasks ask for this much each."""

    request: Request
    tasks: Count
