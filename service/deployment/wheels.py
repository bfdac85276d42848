"""Fetches the wheels of other people's packages, for the machine that Lambda is."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Literal

from service.deployment.contents import is_kept, left_out, requirements

Platform = Literal["arm64", "x86_64", "local"]

_MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
# Lambda's Python 3.12 and later run on Amazon Linux 2023, whose glibc is 2.34.
_GLIBC_MINORS = range(34, 16, -1)


class PackagingFailed(Exception):
    """The package cannot be built here. The message says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a package is to run on, and for. `local` is this interpreter on this machine.

    `tokens` is whether it has what AUTH_MODE=jwt needs.
    """

    platform: Platform
    python: str  # "3.13"
    tokens: bool = False


def local_python() -> str:
    """The version of this interpreter, as a Target has it."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def install_wheels(target: Target, folder: Path, scratch: Path) -> None:
    """Fill `folder` with what is kept of all that the Lambda door requires.

    pip weighs conditions such as `python_version < "3.13"` by the interpreter that runs it, also
    for another target: with an older one here, a backport may come along that is not needed.
    Raises PackagingFailed, with pip's own words when it is pip that fails.
    """
    if target.platform == "local" and target.python != local_python():
        raise PackagingFailed(
            f"A package for this machine is one for Python {local_python()}, not {target.python}."
        )
    constraints = scratch / "constraints.txt"
    constraints.write_text(_constraints(), "utf-8")
    complete = scratch / "complete"
    _pip(
        *("install", "--target", str(complete), "--constraint", str(constraints)),
        *("--only-binary", ":all:", "--no-compile"),
        *_platform_options(target),
        *requirements(tokens=target.tokens),
    )
    unused = left_out(tokens=target.tokens)
    for info in complete.glob("*.dist-info"):
        if _canonical(info.name.partition("-")[0]) in unused:
            _remove(info, complete)
    for path in complete.rglob("*"):
        place = path.relative_to(complete)
        if path.is_file() and is_kept(place.as_posix()):
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / place)


def _constraints() -> str:
    """Exact versions: those of the checkout, or for an installed service those around it."""
    checkout = Path(__file__).resolve().parents[2] / "constraints.txt"
    if checkout.is_file():
        return checkout.read_text("utf-8")
    return "\n".join(f"{each.name}=={each.version}" for each in distributions())


def _platform_options(target: Target) -> list[str]:
    if target.platform == "local":
        return []
    machine = _MACHINES[target.platform]
    tags = [f"manylinux_2_{minor}_{machine}" for minor in _GLIBC_MINORS]
    options = ["--python-version", target.python, "--implementation", "cp"]
    for tag in (*tags, f"manylinux2014_{machine}"):
        options += ["--platform", tag]
    return options


def _pip(*arguments: str) -> None:
    command: Sequence[str] = (sys.executable, "-m", "pip", *arguments)
    finished = subprocess.run(  # noqa: S603 (our own words)
        command,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if finished.returncode:
        lines = [line for line in finished.stdout.splitlines() if not line.startswith("WARNING")]
        raise PackagingFailed("pip could not fetch the packages:\n" + "\n".join(lines[-15:]))


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _remove(info: Path, root: Path) -> None:
    """Remove a distribution by its list of files; `dist-info` goes with the rest of them."""
    for line in (info / "RECORD").read_text("utf-8").splitlines():
        path = (root / line.rpartition(",")[0].rpartition(",")[0].strip('"')).resolve()
        if path.is_relative_to(root.resolve()):
            path.unlink(missing_ok=True)
