"""The virtual environments that LocalStack and its functions run in: made once, then reused.

They lie in a cache folder under names that carry a hash of what they were made from, so a changed
lock file gets a new one and a LocalStack that still runs keeps its own.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_HERE = Path(__file__).resolve().parent
_LOCK_FILE = _HERE / "requirements.lock"
_PLUGINS = _HERE / "plugins"
_CACHE = _HERE.parents[2] / "build" / "localstack"
_COMPLETE = ".complete"


class LocalStackUnavailable(Exception):
    """The packages of LocalStack cannot be installed here; the message says why."""


@dataclass(frozen=True, slots=True)
class Environments:
    """What a LocalStack needs to start."""

    localstack_python: Path  # an interpreter that has LocalStack
    function_python: Path  # one with nothing but the Lambda runtime client
    plugins: Path  # a folder to import our plug-ins from


def ready_environments(cache: Path = _CACHE) -> Environments:
    """Return the environments, and make those that are missing (a minute, from a package index).

    Processes that ask at the same time wait for each other. Raises LocalStackUnavailable.
    """
    made_from = _fingerprint(_LOCK_FILE)
    server = cache / f"server-{made_from}"
    function = cache / f"function-{made_from}"
    sources = sorted(_PLUGINS.glob("mont_localstack/*.py"))
    plugins = cache / f"plugins-{_fingerprint(_PLUGINS / 'pyproject.toml', *sources)}"
    server_python, function_python = server / "bin/python", function / "bin/python"
    cache.mkdir(parents=True, exist_ok=True)
    with _exclusively(cache / "lock") as lock:

        def make_server(folder: Path) -> None:
            venv.create(folder, with_pip=True)
            # The file is complete, so the resolver has nothing to decide. Of all these modules few
            # are ever imported, and then compiled.
            flags = ("--no-deps", "--no-compile")
            _install(lock, server_python, *flags, "--requirement", str(_LOCK_FILE))

        def make_function(folder: Path) -> None:
            venv.create(folder, with_pip=True)
            _install(lock, function_python, "--constraint", str(_LOCK_FILE), "awslambdaric")

        def make_plugins(folder: Path) -> None:
            with tempfile.TemporaryDirectory() as copy:  # building leaves its traces in the source
                shutil.copytree(_PLUGINS, copy, dirs_exist_ok=True)
                flags = ("--no-deps", "--no-build-isolation", "--target", str(folder))
                _install(lock, server_python, *flags, copy)

        _made_once(server, make_server)
        _made_once(function, make_function)
        _made_once(plugins, make_plugins)
    return Environments(server_python, function_python, plugins)


def _fingerprint(*files: Path) -> str:
    digest = hashlib.sha256(f"{sys.version} in {sys.base_prefix}".encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


@contextmanager
def _exclusively(path: Path) -> Iterator[IO[bytes]]:
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _made_once(folder: Path, make: Callable[[Path], None]) -> None:
    if (folder / _COMPLETE).exists():
        return
    shutil.rmtree(folder, ignore_errors=True)  # what an interrupted run left
    make(folder)
    (folder / _COMPLETE).touch()


def _install(lock: IO[bytes], python: Path, *arguments: str) -> None:
    finished = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", *arguments],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # An installer that outlives a killed test run goes on holding the lock: nobody else
        # removes the folder under its feet.
        pass_fds=(lock.fileno(),),
    )
    if finished.returncode:
        errors = [line for line in finished.stdout.splitlines() if not line.startswith("WARNING")]
        raise LocalStackUnavailable(
            f"pip could not install {' '.join(arguments)}:\n" + "\n".join(errors[-15:])
        )
