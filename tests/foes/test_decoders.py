"""Where does the product make values of bytes, and which test sends foes there? What is new must be entered here."""

from __future__ import annotations

import ast
import re

import pytest

from tests.test_tidy import MODULES, ROOT, tree_of

# What takes bytes or text apart, as it stands in a program.
DECODES = re.compile(
    r"^(json|pickle|dill|marshal|plistlib|tomllib|tomli|yaml)\.(loads?|safe_load|Unpickler)$"
    r"|^msgspec\.(json|msgpack|toml|yaml)\.(decode|Decoder)$|^msgspec\.convert$"
    r"|^msgpack\.(unpackb?|Unpacker)$"
    r"|[A-Z]\w*\.(unpack|unpack_from|iter_unpack)$|^struct\.(unpack|unpack_from|iter_unpack)$"
    r"|^int\.from_bytes$|^(bytes|bytearray)\.fromhex$"
    r"|^zlib\.decompress\w*$|^zstandard\.ZstdDecompressor$|^(bz2|lzma|gzip)\.open$|^tarfile\.open$|^zipfile\.ZipFile$"
    r"|^http\.client\.HTTPS?Connection$|^xml\.|^csv\.|^configparser\.|\.Unpickler$"
)

# By module: the tests that send it what foes might.
FUZZED = {
    "vine.wire.codec": ["test_messages.py::test_a_batch_is_messages_or_refused"],
    "vine.wire.hub": ["test_members.py::test_nonsense_to_the_manager_is_counted"],
    "vine.wire.link": ["test_messages.py::test_a_batch_is_messages_or_refused"],
    "vine.wire.session": ["test_messages.py::test_a_session_takes_any_headers_and_keeps_no_more_for_them"],
    "vine.wire.keys": ["test_files.py::test_a_file_of_keys_is_one_or_refused"],
    "vine.transfer.node": [
        "test_messages.py::test_a_frame_of_a_data_socket_is_a_message_or_refused",
        "test_members.py::test_nonsense_between_transfer_nodes_is_counted",
    ],
    "vine.manager.replay": ["test_files.py::test_a_journal_with_a_damaged_row_is_not_gone_on_from"],
    "vine.manager.tally": ["test_files.py::test_the_count_of_commits_beside_the_journal_may_be_anything"],
    "vine.views.reading": ["test_files.py::test_a_damaged_row_of_statistics_is_told_as_such"],
    "vine.content.compression": ["test_files.py::test_an_archive_is_unpacked_or_refused_and_nothing_gets_out"],
    "vine.content.tar_stream": ["test_files.py::test_an_archive_is_unpacked_or_refused_and_nothing_gets_out"],
    "vine.content.ledger": ["test_files.py::test_an_object_whose_entry_is_damaged_is_none"],
    "vine.environments.note": ["test_files.py::test_what_an_archive_says_of_itself_is_of_the_right_kind_or_nothing"],
    "vine.factory_options": ["test_files.py::test_a_file_of_options_is_one_or_refused"],
    "vine_factory.settings": ["test_files.py::test_a_file_of_options_is_one_or_refused"],
    "vine_factory.launchers.left_behind": ["test_files.py::test_a_note_of_a_process_names_one_that_began_then_or_none"],
    "vine_worker.functions.channel": ["test_answers.py::test_what_is_believed_can_be_told_to_the_manager"],
    "vine_worker.functions.zygotes": ["test_answers.py::test_a_library_s_process_says_what_it_may_or_nothing"],
    "vine_worker.web": ["test_http.py::test_any_answer_is_a_body_or_trouble"],
}

# By module: why only its own side can have made the bytes, or why whoever made them may do as much anyway.
OURS_ALONE = {
    "vine.client.serialise": "pickles of the run: their functions run with the user's rights anyway (docs/security.md)",
    "vine.client.tasks": "what it has encoded itself, to see whether the manager would take it",
    "vine.content.prefix": "from the worker, by a pipe that nobody else has",
    "vine.environments.conda": "records of a conda environment that the user packs and runs",
    "vine.environments.interpreter": "words of an interpreter that the user packs and runs",
    "vine.environments.relocate": "compiled modules of an environment that the user packs and runs",
    "vine.environments.sources": "a file that the user names; what is no specification is told (test_poncho.py)",
    "vine.wire.sockets": "from libzmq in the same process",
    "vine_worker.programs": "from the spawner, by a socket that no program has",
    "vine_worker.spawner": "from the worker, by a socket that no program has",
    "vine_worker.unpacking": "from the unpacking process, by a file in memory that nobody else has",
    "vine_function_host.buffers": "what the client has serialised: the host runs the client's functions",
    "vine_function_host.channel": "from its worker",
    "vine_function_host.frames": "from its worker",
    "vine_function_host.host": "from its worker",
    "vine_function_host.library": "what the client has serialised",
    "vine_function_host.payload": "what the client has serialised",
    "vine_function_host.registered": "what the client has serialised",
    "vine_function_host.serialiser": "what the client has serialised",
    "vine_function_host.zygote": "from its worker",
}


def decodes(name: str) -> set[str]:
    """What a module calls, or names, of what takes bytes apart."""
    nodes = list(ast.walk(tree_of(MODULES[name])))
    named = {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)}
    built = {"Decoder" for node in nodes if isinstance(node, ast.Call) and ast.unparse(node.func) == "Decoder"}
    return {each for each in named if DECODES.search(each)} | built


DECODERS = {name: found for name in MODULES if not name.startswith("benchmarks") and (found := decodes(name))}


def test_every_decoder_is_entered_here_and_nothing_else_is() -> None:
    entered = FUZZED.keys() | OURS_ALONE.keys()
    new = {name: DECODERS[name] for name in sorted(DECODERS.keys() - entered)}
    assert not new, f"these take bytes apart: have foes send to them, and enter the test in FUZZED: {new}"
    assert not entered - DECODERS.keys(), "these do not take bytes apart any more"
    assert not FUZZED.keys() & OURS_ALONE.keys()


@pytest.mark.parametrize(("module", "test"), [(name, test) for name, tests in FUZZED.items() for test in tests])
def test_the_test_of_a_decoder_is_there(module: str, test: str) -> None:
    file, _, function = test.partition("::")
    tree = tree_of(ROOT / "tests" / "foes" / file)
    assert function in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_a_decoder_that_nobody_has_entered_is_found() -> None:
    text = "import json, struct, msgspec\na = json.loads(b)\nHEAD.unpack(c)\nd = msgspec.json.decode\n"
    found = {ast.unparse(node) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute)}
    assert {each for each in found if DECODES.search(each)} == {"json.loads", "HEAD.unpack", "msgspec.json.decode"}
