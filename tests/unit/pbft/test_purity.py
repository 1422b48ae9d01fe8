"""The core computes in integers and touches nothing outside itself.

Imports are checked by the import linter and by `pbft/ruff.toml`; this looks at what needs no
import.
"""

import ast
from pathlib import Path

import pytest

import pbft

FILES = sorted(Path(pbft.__file__).parent.glob("*.py"))
BANNED_CALLS = {"float", "open", "print", "input", "exec", "eval", "hash", "id", "round"}


def impurities(source: str) -> list[str]:
    """What the source does that a pure integer core must not do, with the line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Div):
            found.append("true division")
        elif isinstance(node, ast.Constant) and isinstance(node.value, float):
            found.append(f"float {node.value} in line {node.lineno}")
        elif isinstance(node, ast.AsyncFunctionDef | ast.Await):
            found.append(f"waiting in line {node.lineno}")
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in BANNED_CALLS
        ):
            found.append(f"{node.func.id}() in line {node.lineno}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_floats_files_or_waiting(path: Path) -> None:
    """No module of the core divides, has a float, opens, prints, hashes by address or awaits."""
    assert impurities(path.read_text()) == []


def test_the_check_itself_finds_impurities() -> None:
    """Each kind of impurity is noticed."""
    assert impurities("x = 1 / 2") == ["true division"]
    assert impurities("x = 0.5") == ["float 0.5 in line 1"]
    assert impurities("open('x')") == ["open() in line 1"]
    assert impurities("async def f(): await g()") == ["waiting in line 1"] * 2
