"""How do tests of the scheduler declare files that a task of their own makes?"""

from __future__ import annotations

from tests.scheduler.world import World
from vine.names import FileId
from vine.wire import messages as m
from vine.wire.parts import CacheLevel, FileKind, FileSpec, Mount, Request, TaskKind, TaskSpec


def minitask(world: World, inputs: tuple[FileId, ...] = (), command: str = "make", **fields: object) -> FileId:
    """What this command makes of these inputs."""
    file_id = FileId(world.new_task_id())
    mounts = tuple(Mount(each, f"in{i}") for i, each in enumerate(inputs))
    recipe = TaskSpec(
        world.new_task_id(),
        TaskKind.COMMAND,
        command,
        inputs=mounts,
        outputs=(Mount(file_id, "made"),),
        request=Request(cores=1),
        label=command,
    )
    options: dict[str, object] = {"cache": CacheLevel.WORKFLOW, "label": f"made {file_id}", **fields}
    world.say(m.DeclareFiles((FileSpec(file_id, FileKind.MINITASK, recipe=recipe, **options),)))  # type: ignore[arg-type]
    return file_id


def two_of_one_definition(world: World) -> tuple[FileId, FileId]:
    """Files of mini-tasks that are the same; both have been made, for tasks that have ended."""
    first, second = minitask(world), minitask(world)
    for file in (first, second):
        world.submit((file,))
        world.settle()
    return first, second
