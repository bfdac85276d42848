"""The four sides that are compared: the service, two peers and the limit, on one canned store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
import venv
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.load.calls import CALLS, IMAGE_ID, Call
from tests.load.canned import requests_of
from tests.load.processes import Command, processors, running
from tests.support.server import clean_environment
from tests.support.stores import free_port

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "bench"
SIDES = ("mont", "fastapi", "flask", "limit")
_PEERS = Path(__file__).resolve().parent / "peers"
_REQUIREMENTS = _PEERS / "requirements.txt"
_PYTHON = BUILD / "peers" / "bin" / "python"
_MADE_OF = BUILD / "peers" / "made-of.txt"
_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Side:
    """One running server: where it listens, and which process it is."""

    name: str
    port: int
    pid: int


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of a side."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Field:
    """Everything that runs: the sides by name, the store, and what each call asked the store."""

    sides: Mapping[str, Side]
    store: Side
    exchanges: Mapping[str, Mapping[str, list[str]]]  # call -> side -> what it asked the store


def peers_are_installed() -> bool:
    """Whether the peers' environment is there and of the versions asked for."""
    wanted = _REQUIREMENTS.read_text("utf-8")
    return _MADE_OF.is_file() and _MADE_OF.read_text("utf-8") == wanted


def install_peers() -> None:
    """Make the peers' environment, once: their packages must not get into the service's own."""
    if not peers_are_installed():
        print("Installing the peers into build/bench/peers (once)", flush=True)
        venv.create(BUILD / "peers", clear=True, with_pip=True)
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([_PYTHON, *install, "--requirement", _REQUIREMENTS], check=True)
        _MADE_OF.write_text(_REQUIREMENTS.read_text("utf-8"), "utf-8")


def versions() -> dict[str, str]:
    """What the peers run on."""
    script = (
        "import json, platform; from importlib.metadata import version as v; "
        "print(json.dumps({'python': platform.python_version(), **{n: v(n) for n in "
        "('fastapi', 'starlette', 'pydantic', 'uvicorn', 'uvloop', 'httptools', 'flask', "
        "'werkzeug', 'gunicorn', 'aiobotocore', 'boto3', 'botocore', 'aiohttp')}}))"
    )
    shown = subprocess.run([_PYTHON, "-c", script], stdout=subprocess.PIPE, check=True)
    found: dict[str, str] = json.loads(shown.stdout)
    return found


@contextmanager
def running_sides(logs: Path = BUILD / "logs") -> Iterator[Field]:
    """Run all sides on the first processor, and the store on the last; their output goes to `logs`.

    Each is asked every call once, to see that it works and what it asks the store; what the
    service asked is what the limit will ask.
    """
    logs.mkdir(parents=True, exist_ok=True)
    script_file = logs / "limit.json"
    measured, other = processors()
    with ExitStack() as stack:
        port = free_port()
        pid = stack.enter_context(running(store_command(port), port, other, logs / "store.log"))
        store = Side("store", port, pid)
        sides: dict[str, Side] = {}
        exchanges: dict[str, dict[str, list[str]]] = {name: {} for name in CALLS}
        script = []
        for name in SIDES:
            port = free_port()
            if name == "limit":
                script_file.write_text(json.dumps(script), "utf-8")
            command = _command(name, port, f"http://127.0.0.1:{store.port}", script_file)
            pid = stack.enter_context(running(command, port, measured, logs / f"{name}.log"))
            sides[name] = Side(name, port, pid)
            for call in CALLS.values():
                ask(sides[name], call)  # whatever is fetched once is not part of the call
                _asked(store)
                answer = ask(sides[name], call)
                made = list(requests_of(_asked(store)))
                exchanges[call.name][name] = [_said(*each) for each in made]
                if name == "mont":
                    script.append(_line(call, answer, made))
        yield Field(sides, store, exchanges)


def ask(side: Side, call: Call) -> Answer:
    """One call. Raises an error where it is refused: a bench of errors is none."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{side.port}{call.target}",
        data=call.body or None,
        headers=call.headers,
        method=call.method,
    )
    with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
        return Answer(answer.status, answer.read())


def _asked(store: Side) -> bytes:
    url = f"http://127.0.0.1:{store.port}/asked"
    with urllib.request.urlopen(url, timeout=_SECONDS) as answer:
        shown: bytes = answer.read()
    return shown


_Exchange = tuple[str, str, dict[str, str], bytes]


def _said(method: str, target: str, headers: dict[str, str], body: bytes) -> str:
    operation = {key.lower(): value for key, value in headers.items()}.get("x-amz-target", "")
    return operation.rpartition(".")[2] or f"{method} {target.partition('?')[2]}".strip()


def _line(call: Call, answer: Answer, made: list[_Exchange]) -> dict[str, object]:
    """What the limit does for one call."""
    return {
        "method": call.method,
        "route": call.target.partition("?")[0].replace(IMAGE_ID, "{image_id}"),
        "answer": answer.body.decode(),
        "exchanges": [
            (m, target, headers, body.decode("latin-1")) for m, target, headers, body in made
        ],
    }


def store_command(port: int) -> Command:
    """The canned store on this port."""
    arguments = (sys.executable, "-m", "tests.load.canned", str(port))
    return Command("store", arguments, ROOT, dict(os.environ))


def service_command(port: int, store: str) -> Command:
    """The service on this port, with both its stores at `store`."""
    # As shipped, but for the rate: requests are counted against it all the same.
    environment = _environment(store) | {
        "PORT": str(port),
        "THROTTLE_RATE_LIMIT": "1000000",
        "THROTTLE_BURST_LIMIT": "1000000",
    }
    return Command("mont", (sys.executable, "-m", "service", "serve"), ROOT, environment)


def _environment(store: str) -> dict[str, str]:
    return clean_environment(
        AWS_ENDPOINT_URL=store,
        AWS_ACCESS_KEY_ID="AKIDEXAMPLE",
        AWS_SECRET_ACCESS_KEY="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        AWS_REGION="us-east-1",
        AWS_DEFAULT_REGION="us-east-1",
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    )


def _command(name: str, port: int, store: str, script: Path) -> Command:
    if name == "mont":
        return service_command(port, store)
    address, environment = f"127.0.0.1:{port}", _environment(store)
    if name == "limit":
        arguments = (sys.executable, "-m", "tests.load.limit", str(port), store)
        return Command(name, (*arguments, str(script)), ROOT, environment)
    if name == "fastapi":
        server = ("uvicorn", "fastapi_aiobotocore:app", "--port", str(port), "--loop", "uvloop")
        quiet = ("--http", "httptools", "--no-access-log", "--log-level", "warning")
        return Command(name, (str(_PYTHON), "-m", *server, *quiet), _PEERS, environment)
    if name == "flask":
        server = ("gunicorn", "flask_boto3:app", "--bind", address, "--worker-class", "gthread")
        return Command(name, (str(_PYTHON), "-m", *server, "--threads", "8"), _PEERS, environment)
    raise ValueError(f"there is no side {name}")
