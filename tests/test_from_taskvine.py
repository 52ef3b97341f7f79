"""Is the page for TaskVine's users complete, and does all that it names exist?"""

from __future__ import annotations

import configparser
import inspect
import re
from functools import cache
from typing import Any, NamedTuple

import pytest
from parsl.errors import ParslError

import vine
import vine.parsl.errors
from tests.live.helpers import ROOT
from vine.client.resources import TaskResources
from vine.client.stats import Stats
from vine.factory_options import FactoryOptions

# What TaskVine's users know, by where they have it.
EXPECTED = {
    "managers": """port name run_info_path submit wait wait_for_tag wait_for_task_id cancel_by_task_id empty hungry
        cancel_by_task_tag cancel_all_by_tag cancel_by_category cancel_all stats status tune map pair tree_reduce
        create_library_from_functions install_library remove_library shutdown staging_path ssl init_fn
        status_display_interval using_ssl logging_directory staging_directory cache_directory stats_category
        summarize_workers update_catalog set_category_mode set_category_autolabel_resource task_state
        enable_monitoring enable_peer_transfers disable_peer_transfers enable_disconnect_slow_workers
        enable_disconnect_slow_workers_category set_draining_by_hostname set_scheduler set_name
        set_manager_preferred_connection set_min_task_id tasks_left_count set_catalog_servers set_property
        set_runtime_info_path set_password set_password_file set_resources_max set_resources_min
        set_category_resources_max set_category_resources_min set_category_first_allocation_guess
        set_category_max_concurrent initialize_categories workers_shutdown block_host block_host_with_timeout
        unblock_host blacklist blacklist_with_timeout blacklist_clear set_keepalive_interval set_keepalive_timeout
        application_info remote_map remote_pair remote_tree_reduce log_txn_app log_debug_app
        create_library_from_functions_v2 create_library_from_serverized_files create_library_from_command""",
    "files": """declare_file declare_buffer declare_temp declare_url declare_minitask declare_untar declare_poncho
        declare_starch declare_xrootd declare_chirp fetch_file prune_file undeclare_file remove_file
        undeclare_function cache peer_transfer unlink_when_done source contents""",
    "tasks": """add_input add_output set_command set_cores set_memory set_disk set_gpus set_category set_tag
        set_priority set_retries set_max_forsaken set_time_max set_time_min set_time_start set_time_end set_env_var
        add_feature add_environment add_poncho_package add_execution_context add_starch_package add_nopen clone
        set_library_required set_library_provided set_function_slots set_snapshot_file set_monitor_output
        result exit_code std_output output successful completed tag category command id hostname addrport get_metric
        resources_measured resources_requested resources_allocated limits_exceeded""",
    "inputs and outputs": "mount_symlink strict_input watch failure_only success_only",
    "kinds of tasks": """PythonTask FunctionCall LibraryTask Function enable_temp_output output_file set_output_cache
        disable_output_serialization set_fn_args set_exec_method FunctionCallNoResult""",
    "futures and other front ends": """FuturesExecutor FuturePythonTask FutureFunctionCall VineFuture future_task
        future_funcall reduce allpairs set get Factory DaskVine DaskVineDag TaskVineExecutor""",
    "factories": """min_workers max_workers workers_per_cycle tasks_per_worker cores memory disk gpus scratch_dir
        capacity timeout batch_options condor_requirements python_env factory_timeout manager_name extra_options""",
    "Parsl's configurations": """port address project_name project_password_file env_vars init_command env_pack
        app_pack extra_pkgs max_retries library_config shared_fs autolabel autolabel_algorithm autolabel_window
        autocategory enable_peer_transfers wait_for_workers tune_parameters vine_log_dir factory_timeout scratch_dir
        min_workers max_workers workers_per_cycle worker_options worker_executable worker_timeout cores gpus memory
        disk python_env batch_type condor_requirements batch_options""",
}
CLASSES = [getattr(vine, name) for name in vine.__all__ if inspect.isclass(getattr(vine, name))]


class Row(NamedTuple):
    theirs: str
    ours: str
    differences: str


def rows() -> list[Row]:
    lines = (ROOT / "docs" / "from-taskvine.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| ")]
    return [Row(*row, *[""] * (3 - len(row))) for row in cells if row[0] not in ("TaskVine", "---")]


def words(cell: str) -> set[str]:
    """The names in a cell's code: of methods, arguments, attributes, classes and commands."""
    code = " ".join(re.findall(r"`([^`]*)`", cell))
    code = re.sub(r"\"[^\"]*\"|'[^']*'|(?<=[ (])--?[a-z]+|(?<=vine-package) \w+|=\w+", "", code)
    names = re.findall(r"(?<![*\w-])[A-Za-z][\w-]+", code)  # What has one letter is a number.
    return {name for name in names if not name.isupper() and name not in ("True", "None")}


@cache
def there_is() -> frozenset[str]:
    found = {*vine.__all__, "vine", "parsl", *vine.parsl.__all__, *TaskResources.__annotations__}
    found |= {*FactoryOptions.__struct_fields__, "concurrent", "futures"}
    found |= {each.__name__ for each in (ParslError, *_below(ParslError))}
    found |= {"parsl_resource_specification"}  # of any app
    of_parsl: list[Any] = [getattr(vine.parsl, name) for name in vine.parsl.__all__]
    for each in (*CLASSES, Stats, *of_parsl):
        for name in [name for name in dir(each) if not name.startswith("_") or name == "__init__"]:
            member: Any = inspect.getattr_static(each, name)
            found.add(name)
            if inspect.isfunction(member):
                found |= set(inspect.signature(member).parameters)
    for path in (ROOT / "vine" / "client").glob("*.py"):  # What instances have besides.
        found |= set(re.findall(r"self\.([a-z]\w*)(?:: [^=\n]+)? = ", path.read_text()))
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    commands = settings["options.entry_points"]["console_scripts"]
    return frozenset(found | {line.split("=")[0].strip() for line in commands.splitlines()})


def _below(kind: type) -> set[type]:
    return {found for each in kind.__subclasses__() for found in (each, *_below(each))}


@pytest.mark.parametrize("kind", EXPECTED)
def test_all_that_taskvines_users_know_is_on_the_page(kind: str) -> None:
    told = set().union(*(words(row.theirs) for row in rows()))
    assert set(EXPECTED[kind].split()) <= told


def test_all_that_the_page_names_of_ours_exists() -> None:
    for row in rows():
        missing = words(row.theirs if row.ours == "the same" else row.ours) - there_is()
        assert not missing, f"{row.theirs}: there is no {', '.join(sorted(missing))}"


def test_what_the_page_says_is_missing_is_missing() -> None:
    for row in rows():
        if row.ours == "-":
            named = {re.split(r"\W", code)[0] for code in re.findall(r"`([^`]+)`", row.theirs)} - {"Manager"}
            there = {name for name in named if any(hasattr(each, name) for each in (vine, *CLASSES))}
            assert not there, f"{', '.join(sorted(there))} is there: say what is different"
