"""Installs the wheel in an empty environment away from the checkout, and uses what was installed.

    python tests/try_wheel.py build/wheel

A test of the checkout cannot tell what the wheel lacks: it would find the missing file here. So
nothing of this repository is imported, and everything happens in a temporary folder. Ends with
status 0, or says what is wrong.
"""

from __future__ import annotations

import json
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import venv
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

CHECKOUT = Path(__file__).resolve().parents[1]
PACKAGES = ("service", "lambda_bridge")
NEVER_SHIPPED = ("tests", "config", "build")
START_SECONDS, STOP_SECONDS, ANSWER_SECONDS = 60, 20, 15

# A proxy that the environment names has no business with an address on this machine.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def main() -> None:
    """Install, look, serve, use, stop."""
    (wheel,) = Path(sys.argv[1]).resolve().glob("*.whl")
    # Resolved: macOS reaches its temporary folder through a link, and paths are compared below.
    with tempfile.TemporaryDirectory(prefix="mont-wheel-") as name:
        folder = Path(name).resolve()
        scripts = install(wheel, folder)
        check_files(scripts, folder)
        with serving(scripts / "mont", folder) as address:
            for path in ("/readyz", "/", "/docs", "/docs/swagger-ui-bundle.js", "/openapi.json"):
                report(f"GET {path}: {len(get(address + path))} bytes")
            upload(address)
    report("the wheel is good")


def install(wheel: Path, folder: Path) -> Path:
    """Install the wheel with its embedded backend; the folder of the commands."""
    environment = folder / "venv"
    venv.create(environment, with_pip=True)
    scripts = environment / ("Scripts" if os.name == "nt" else "bin")
    pip = [str(scripts / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wanted = f"mont-image-service[embedded] @ {wheel.as_uri()}"
    run([*pip, "install", "-c", str(CHECKOUT / "constraints.txt"), wanted], folder)
    run([*pip, "check"], folder)
    report(f"installed {wheel.name} in an empty environment")
    return scripts


def check_files(scripts: Path, folder: Path) -> None:
    """Every module and data file of the checkout is there, and nothing that is not in it."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    library = Path(run([str(scripts / "python"), "-c", code], folder).strip())
    templates = {f"service/config/{file.name}" for file in (CHECKOUT / "config").glob("*.yaml")}
    expected = files_of_packages(CHECKOUT) | templates
    demand(len(expected) > 30 and bool(templates), "the checkout has no sources to compare with")
    found = files_of_packages(library)
    demand(not expected - found, f"the wheel lacks {sorted(expected - found)}")
    # setuptools packs whatever an earlier build has left in build/lib.
    demand(not found - expected, f"the wheel has {sorted(found - expected)}, the checkout not")
    stray = [name for name in NEVER_SHIPPED if (library / name).exists()]
    demand(not stray, f"the wheel puts {', '.join(stray)} in everyone's way")
    report(f"its {len(found)} modules and data files are those of the checkout")


def files_of_packages(top: Path) -> set[str]:
    """The files of our packages below this folder, without what Python compiled."""
    return {
        file.relative_to(top).as_posix()
        for package in PACKAGES
        for file in (top / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


@contextmanager
def serving(mont: Path, folder: Path) -> Iterator[str]:
    """`mont serve` on a free port, from its printed address to a clean end without leftovers."""
    # Of this shell's settings none: the wheel is tried with its defaults.
    variables = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    log = folder / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [mont, "serve"],
            cwd=folder,
            env={**variables, "HOME": str(folder), "PORT": "0"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield wait_for_address(process, log)
        children = children_of(process.pid)
        demand(bool(children) or not Path("/proc").is_dir(), "no embedded backend was started")
        process.send_signal(signal.SIGTERM)
        status = process.wait(STOP_SECONDS)
        demand(status == 0, f"SIGTERM: it ended with status {status}\n{log.read_text()}")
        left = [child for child in children if is_alive(child)]
        demand(not left, f"it left processes behind: {left}")
        report(f"SIGTERM: ended with status 0, and with it its {len(children)} child process")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def wait_for_address(process: subprocess.Popen[bytes], log: Path) -> str:
    """The address that the service prints once it is ready."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        if found := re.search(r"Page +(http://\S+?)/\n", log.read_text("utf-8")):
            report(f"mont serve: ready at {found[1]}")
            return found[1]
        time.sleep(0.05)
    raise SystemExit(f"try_wheel: mont serve does not start\n{log.read_text('utf-8')}")


def upload(address: str) -> None:
    """One image through its whole life."""
    user, image = "wheel-test", png(3, 2)
    declared = {
        "user_id": user,
        "filename": "tiny picture.png",
        "content_type": "image/png",
        "file_size": len(image),
    }
    ticket = call("POST", f"{address}/images/upload-url", declared)
    form, content_type = multipart(ticket["fields"], image)
    request = urllib.request.Request(ticket["presigned_url"], form, {"Content-Type": content_type})
    open_url(request)
    image_id = ticket["image_id"]
    completed = call("POST", f"{address}/images/complete", {**declared, "image_id": image_id})
    demand(completed["status"] == "completed", f"complete: {completed}")
    listed = call("GET", f"{address}/images?user_id={user}")
    found = [(each["image_id"], each["width"], each["height"]) for each in listed["images"]]
    demand(found == [(image_id, 3, 2)], f"list: {listed}")
    link = call("GET", f"{address}/images/{image_id}/download-url")
    demand(get(link["presigned_url"]) == image, "the bytes came back changed")
    call("DELETE", f"{address}/images/{image_id}", {"user_id": user})
    demand(call("GET", f"{address}/images?user_id={user}")["count"] == 0, "still listed")
    report(f"a PNG of {len(image)} bytes: uploaded, completed, listed, downloaded, deleted")


def png(width: int, height: int) -> bytes:
    """A real, if dull, PNG (ISO/IEC 15948)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\0" + b"\x40\x80\xc0" * width) * height
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in chunks)


def multipart(fields: dict[str, str], image: bytes) -> tuple[bytes, str]:
    """The upload form (RFC 7578) and its Content-Type; the file goes last, as S3 wants it."""
    boundary = uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    file = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    body = "".join([*parts, file]).encode() + image + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


def call(method: str, url: str, document: object = None) -> Any:
    """A call of the API: JSON in, JSON out."""
    body = None if document is None else json.dumps(document).encode()
    headers = {"Content-Type": "application/json"} if body else {}
    return json.loads(open_url(urllib.request.Request(url, body, headers, method=method)))


def get(url: str) -> bytes:
    """What is at an address."""
    return open_url(urllib.request.Request(url))


def open_url(request: urllib.request.Request) -> bytes:
    """The body of a good answer; anything else ends the trial."""
    try:
        with _opener.open(request, timeout=ANSWER_SECONDS) as answer:
            body: bytes = answer.read()
            return body
    except urllib.error.HTTPError as error:
        reason = f"{error.code} {error.read().decode('utf-8', 'replace')}"
    except OSError as error:
        reason = str(error)
    raise SystemExit(f"try_wheel: {request.get_method()} {request.full_url}: {reason}")


def children_of(process_id: int) -> list[int]:
    """The processes that this one started; none where there is no /proc to tell."""
    tasks = Path(f"/proc/{process_id}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def is_alive(process_id: int) -> bool:
    """Whether a process of this number runs."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


def run(command: list[str], folder: Path) -> str:
    """The output of a command, in this folder; its failure ends the trial."""
    done = subprocess.run(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    demand(done.returncode == 0, f"{' '.join(command)}\n{done.stdout}")
    return done.stdout


def demand(good: bool, otherwise: str) -> None:
    """End the trial unless this is so."""
    if not good:
        raise SystemExit(f"try_wheel: {otherwise}")


def report(text: str) -> None:
    """Say what was done."""
    print(f"try_wheel: {text}", flush=True)


if __name__ == "__main__":
    main()
