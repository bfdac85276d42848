"""Builds Lambda's package: one zip that every function runs. Same input, same bytes."""

from __future__ import annotations

import hashlib
import os
import platform as machines
import shutil
import subprocess
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from service.deployment.bytecode import compile_folder, find_interpreter
from service.deployment.contents import own_files
from service.deployment.endpoints import reduce_endpoints
from service.deployment.wheels import (
    PackagingFailed,
    Platform,
    Target,
    install_wheels,
    local_python,
)

__all__ = [
    "LAMBDA_PYTHON",
    "Package",
    "PackagingFailed",
    "Platform",
    "Target",
    "architecture_of",
    "build_package",
    "own_architecture",
    "target_for",
]

LAMBDA_PYTHON = "3.13"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say
_READABLE = 0o100644 << 16  # Lambda's user is not the owner


@dataclass(frozen=True, slots=True)
class Package:
    """A package on disk; `size` in bytes, `compiled` when its bytecode is in it."""

    path: Path
    size: int
    sha256: str
    compiled: bool


def target_for(platform: Platform, python: str | None, *, tokens: bool = False) -> Target:
    """The target, with the Python that is meant when none is named."""
    own = local_python() if platform == "local" else LAMBDA_PYTHON
    return Target(platform, python or own, tokens)


def own_architecture() -> Literal["arm64", "x86_64"]:
    """This machine's processor, in Lambda's words."""
    return "arm64" if machines.machine().lower() in {"arm64", "aarch64"} else "x86_64"


def architecture_of(platform: Platform) -> Literal["arm64", "x86_64"]:
    """The processor that a package for the platform runs on."""
    return own_architecture() if platform == "local" else platform


def build_package(target: Target, output: Path) -> Package:
    """Build the package at `output`.

    Where no interpreter of the target's Python is at hand, it is complete but without bytecode,
    and each cold start has to compile. Raises PackagingFailed.
    """
    with tempfile.TemporaryDirectory(prefix="mont-package-") as scratch:
        folder = Path(scratch, "package")
        install_wheels(target, folder, Path(scratch))
        own = dict(own_files())
        for place, path in own.items():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / place)
        reduce_endpoints(folder)
        interpreter = find_interpreter(target.python)
        if interpreter is not None:
            try:
                compile_folder(folder, interpreter)
            except subprocess.CalledProcessError as error:
                raise PackagingFailed(
                    f"{interpreter} cannot compile it:\n{error.stderr}"
                ) from error
        _write(folder, output)
    return Package(
        path=output,
        size=output.stat().st_size,
        sha256=hashlib.sha256(output.read_bytes()).hexdigest(),
        compiled=interpreter is not None,
    )


def _write(folder: Path, output: Path) -> None:
    """Zip a folder; order, times, permissions and compression are always the same."""
    output.parent.mkdir(parents=True, exist_ok=True)
    # Two may build at once; the last one to finish wins, with a whole file.
    partial = output.with_name(f".{output.name}.{os.getpid()}.partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for place, path in sorted(
            (path.relative_to(folder).as_posix(), path)
            for path in folder.rglob("*")
            if path.is_file()
        ):
            entry = zipfile.ZipInfo(place, _EPOCH)
            entry.external_attr = _READABLE
            entry.create_system = 3  # Unix, wherever it is built
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes(), compresslevel=9)
    # Whole or not at all: a deployment may read it at the same time.
    partial.replace(output)
