"""A real LocalStack on this machine, without Docker: started, waited for and always stopped.

It knows where LocalStack is and how to reach it; what is deployed to it is no business of this
module.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tests.e2e.localstack.environments import (
    Environments,
    LocalStackUnavailable,
    ready_environments,
)

__all__ = ["Endpoint", "LocalStackFailed", "LocalStackUnavailable", "running_localstack"]

_GUARDIAN = Path(__file__).with_name("guardian.py")
_START_SECONDS = 90.0
_STOP_SECONDS = 20.0
_LINES_SHOWN = 30


class LocalStackFailed(Exception):
    """LocalStack was installed but did not start; the message ends with its log."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A running LocalStack and how to talk to it."""

    url: str  # of every AWS service
    log: Path
    function_logs: Path  # a folder with one file for each execution environment
    region: str = "us-east-1"
    access_key_id: str = "test"
    secret_access_key: str = "test"  # LocalStack checks signatures against this very word

    def api_url(self, api_id: str, stage: str) -> str:
        """Return the base URL of a deployed REST API, without a trailing slash."""
        return f"{self.url}/_aws/execute-api/{api_id}/{stage}"

    def environment(self) -> dict[str, str]:
        """Return the variables that point any AWS program at this LocalStack."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
        }

    def last_lines(self) -> str:
        """Return the end of LocalStack's log."""
        lines = self.log.read_text("utf-8", "replace").splitlines()[-_LINES_SHOWN:]
        return "\n".join(lines) or "(it wrote nothing)"


@contextmanager
def running_localstack(workdir: Path) -> Iterator[Endpoint]:
    """Run LocalStack in `workdir` and yield once it answers.

    However this context is left, and however this process dies, no process remains. The first
    call installs LocalStack in the checkout's build folder; later ones start it in a second or
    two. A service loads at its first use. Raises LocalStackUnavailable and LocalStackFailed.
    """
    environments = ready_environments()
    port = _free_port()
    endpoint = Endpoint(
        url=f"http://127.0.0.1:{port}",
        log=workdir / "localstack.log",
        function_logs=workdir / "functions",
    )
    endpoint.function_logs.mkdir(parents=True, exist_ok=True)
    with endpoint.log.open("wb") as log:
        # Its own session: Ctrl-C reaches the tests alone, which then stop LocalStack in order.
        guardian = subprocess.Popen(
            [sys.executable, _GUARDIAN, environments.localstack_python, *_MODULE],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=workdir,
            env=_environment(environments, endpoint, workdir, port),
            start_new_session=True,
        )
    try:
        _wait_until_ready(guardian, endpoint)
        yield endpoint
    finally:
        assert guardian.stdin is not None
        guardian.stdin.close()
        guardian.wait(_STOP_SECONDS)


_MODULE = ("-m", "localstack.runtime.main")


def _environment(
    environments: Environments, endpoint: Endpoint, workdir: Path, port: int
) -> dict[str, str]:
    scratch = workdir / "tmp"
    scratch.mkdir(exist_ok=True)
    # Nothing is inherited but the search path: a developer's own AWS, proxy or LocalStack settings
    # must not reach the tests.
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": str(environments.plugins),
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        # All that it writes stays in the working folder, unzipped functions (TMPDIR) included.
        "HOME": str(workdir),
        "XDG_CACHE_HOME": str(workdir / "cache"),
        "TMPDIR": str(scratch),
        "FILESYSTEM_ROOT": str(workdir / "filesystem"),
        "PERSISTENCE": "0",
        # No calls home, no certificate download, no DNS server on port 53.
        "DISABLE_EVENTS": "1",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "DNS_ADDRESS": "0",
        # S3 is to refuse what AWS would refuse.
        "S3_SKIP_SIGNATURE_VALIDATION": "0",
        "PROVIDER_OVERRIDE_DYNAMODB": "memory",
        "LAMBDA_RUNTIME_EXECUTOR": "process",
        "LAMBDA_RUNTIME_ENVIRONMENT_TIMEOUT": "60",
        # CloudFormation looks again only every 5 s for a function that is not active at once.
        "LAMBDA_SYNCHRONOUS_CREATE": "1",
        "MONT_LAMBDA_PYTHON": str(environments.function_python),
        "MONT_LAMBDA_LOGS": str(endpoint.function_logs),
    }


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _wait_until_ready(guardian: subprocess.Popen[bytes], endpoint: Endpoint) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if _is_healthy(endpoint):
            return
        try:
            guardian.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
        raise LocalStackFailed(f"LocalStack ended while starting:\n{endpoint.last_lines()}")
    raise LocalStackFailed(
        f"LocalStack did not answer within {_START_SECONDS:.0f} s:\n{endpoint.last_lines()}"
    )


def _is_healthy(endpoint: Endpoint) -> bool:
    try:
        with urlopen(f"{endpoint.url}/_localstack/health", timeout=5) as answer:
            return "services" in json.load(answer)
    except (URLError, OSError, ValueError):
        return False
