"""The client stands alone: it could be a package of its own."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import service.client

FOLDER = Path(service.client.__file__).parent
MODULES = sorted(FOLDER.glob("*.py"))


def imported_by(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_it_imports_nothing_but_python_aiohttp_and_itself(path: Path) -> None:
    for name in imported_by(path):
        package = name.partition(".")[0]
        assert (
            package in sys.stdlib_module_names
            or package in {"aiohttp", "yarl"}  # the second comes with the first
            or f"{name}.".startswith("service.client.")
        ), name


def test_importing_it_loads_nothing_of_the_server() -> None:
    loaded = subprocess.run(
        [
            sys.executable,
            "-c",
            "import service.client.sync, service.client.folders, sys; "
            "print(*(name for name in sys.modules if name.startswith('service')))",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "service.client.sync" in loaded
    assert [
        name for name in loaded if name != "service" and not name.startswith("service.client")
    ] == []
