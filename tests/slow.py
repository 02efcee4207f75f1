"""What takes long, by measurement, and what may not run side by side.

`make test` begins with the slow files, so that none of them is left to one process at the end. `make test-fast` leaves
slow tests out.
"""

# seconds of a core; a whole file, or single tests (with all their parameters) of a file whose others are quick
SLOW: dict[str, int] = {
    "tests/models/test_all_stages.py": 170,
    "tests/test_execution.py": 150,
    "tests/test_levels.py": 60,
    "tests/models/test_train_bat.py": 53,
    "tests/dataset/test_validate.py": 38,
    "tests/test_audit.py": 60,
    "tests/clips/test_foley.py": 48,
    "tests/models/test_train_spatial_ast.py": 40,
    "tests/banks/test_bank_scenes.py": 32,
    "tests/exports/test_recipes.py": 30,
    "tests/test_wheel.py": 30,
    "tests/rooms/test_matterport_render.py": 20,
    "tests/models/test_llm.py::test_smollm2_knows_something": 20,
    "tests/test_audit_answers.py": 20,
    "tests/clips/test_audioset_render.py": 16,
    "tests/models/test_answer.py": 14,
}

# each starts Ray with two workers: two such clusters at a time would ask for four cores
RAY = ("tests/test_execution.py", "tests/test_levels.py", "tests/exports/test_recipes.py")


def file_of(nodeid: str) -> str:
    """Return the file of a test."""
    return nodeid.partition("::")[0]


def group_of(nodeid: str) -> str:
    """Return what the test shares one process with: its file, or a group of files."""
    file = file_of(nodeid)
    return "Ray" if file in RAY else file


def is_slow(nodeid: str) -> bool:
    """Return whether a test, or the whole of its file, takes long."""
    return file_of(nodeid) in SLOW or nodeid.partition("[")[0] in SLOW


def seconds_of_file(file: str) -> int:
    """Return how long the slow tests of a file take together."""
    return sum(seconds for name, seconds in SLOW.items() if file_of(name) == file)
