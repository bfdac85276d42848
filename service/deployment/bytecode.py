"""Compiles a package ahead, since Lambda could not keep what it compiles: its folder is read-only.

Bytecode belongs to one version of Python, so it takes an interpreter of the version that will run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

# The hash of the source stands in the file and is not checked, so that no time is in it and no
# start reads the sources. Lambda unpacks to /var/task: tracebacks name the file that is there.
_SCRIPT = """
import pathlib, py_compile, sys
root = pathlib.Path(sys.argv[1])
for source in sorted(root.rglob("*.py")):
    py_compile.compile(
        str(source),
        dfile=f"/var/task/{source.relative_to(root).as_posix()}",
        doraise=True,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
"""
_VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"


def find_interpreter(version: str) -> str | None:
    """An interpreter of this version ("3.13"): this one, one on the search path, or pyenv's."""
    for path in _candidates(version):
        # What is on the path may be a shim of a version manager that has no such version.
        if _run(path, _VERSION).stdout.strip() == version:
            return path
    return None


def _candidates(version: str) -> Iterator[str]:
    for name in (sys.executable, f"python{version}", "python3", "python"):
        if (path := shutil.which(name)) is not None:
            yield path
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/python")))


def compile_folder(folder: Path, interpreter: str) -> None:
    """Put the bytecode of every module beside it. Raises subprocess.CalledProcessError."""
    _run(interpreter, _SCRIPT, str(folder)).check_returncode()


def _run(interpreter: str, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 (an interpreter and our own script)
        [interpreter, "-s", "-S", "-c", script, *arguments],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        # Sets are written in the order of their hashes, which are random unless seeded.
        env={**_inherited(), "PYTHONHASHSEED": "0"},
    )


def _inherited() -> dict[str, str]:
    """The environment without what would change how Python runs."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
