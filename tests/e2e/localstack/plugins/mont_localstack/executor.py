"""Runs a Lambda execution environment as a process, in LocalStack's place for Docker.

The interpreter is MONT_LAMBDA_PYTHON whatever runtime the function declares; it needs awslambdaric
and no more, so that a dependency missing from the zip fails here as it would on AWS. The output of
each environment is kept in MONT_LAMBDA_LOGS as well as in CloudWatch Logs.
"""

import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from localstack.services.lambda_.invocation.executor_endpoint import StatusErrorException
from localstack.services.lambda_.invocation.lambda_models import FunctionVersion, InvocationResult
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor

from mont_localstack.sandbox import Sandbox
from mont_localstack.wire import InitFailed, Invocation, Outcome, TimedOut

_LOOPBACK = "127.0.0.1"
_PASSED_ON = ("PATH", "TMPDIR")


class ProcessExecutor(RuntimeExecutor):
    """One execution environment: at most one process, and one event at a time.

    A process that dies or is killed for its timeout is replaced when the next event comes, as
    Lambda does within the same environment.
    """

    def __init__(self, id: str, function_version: FunctionVersion) -> None:
        super().__init__(id, function_version)
        name = f"{function_version.id.function_name}-{id[:8]}.log"
        self._log = Path(os.environ.get("MONT_LAMBDA_LOGS", tempfile.gettempdir())) / name
        self._environment: dict[str, str] = {}
        self._sandbox: Sandbox | None = None
        self._init_report = ""

    def start(self, env_vars: dict[str, str]) -> None:
        """Start the process and wait until it asks for its first event.

        LocalStack sets the time limit and calls `stop` from another thread when it has passed.
        Raises StatusErrorException with Lambda's error document when the function cannot load.
        """
        archive = self.function_version.config.code
        code = str(archive.get_unzipped_code_location())  # type: ignore[no-untyped-call]
        self._environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        self._environment |= {
            # The code folder is read-only on AWS.
            "PYTHONDONTWRITEBYTECODE": "1",
            "LANG": "en_US.UTF-8",
        }
        self._environment |= {name: str(value) for name, value in env_vars.items()}
        self._environment |= {
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{self.function_version.config.runtime}",
            "LAMBDA_TASK_ROOT": code,
        }
        try:
            self._start_process()
        except InitFailed as error:
            raise StatusErrorException(
                "Environment startup failed", payload=error.document
            ) from error

    def stop(self) -> None:
        """End the process; an event still under way fails."""
        if self._sandbox:
            self._sandbox.stop()

    def invoke(self, payload: dict[str, str]) -> InvocationResult:
        """Hand one event to the process and wait for its answer, its error or its time limit."""
        request_id = payload["invoke-id"]
        log_start = self._log_size()
        started = time.perf_counter()
        try:
            sandbox = self._running_sandbox()
            started = time.perf_counter()
            outcome = self._answered(sandbox, payload)
        except InitFailed as error:
            outcome = Outcome(error.document, is_error=True)
        milliseconds = (time.perf_counter() - started) * 1000
        logs = self._framed(request_id, self._log_from(log_start), milliseconds)
        return InvocationResult(request_id, outcome.document, outcome.is_error, logs)

    def get_logs(self) -> str:
        """Return all that this environment's processes wrote."""
        return self._log_from(0)

    def get_address(self) -> str:
        """Return where the function runs."""
        return _LOOPBACK

    def get_endpoint_from_executor(self) -> str:
        """Return LocalStack's host as the function sees it: part of its AWS_ENDPOINT_URL."""
        return _LOOPBACK

    def get_runtime_endpoint(self) -> str:
        """Return nothing: it would be the address for LocalStack's own in-container agent."""
        return ""

    @classmethod
    def prepare_version(cls, function_version: FunctionVersion) -> None:
        """Unzip the code once for all environments of the version."""
        function_version.config.code.prepare_for_execution()  # type: ignore[no-untyped-call]

    @classmethod
    def cleanup_version(cls, function_version: FunctionVersion) -> None:
        """Do nothing: LocalStack deletes the code itself, when no version uses it any more."""

    def _running_sandbox(self) -> Sandbox:
        if self._sandbox is None or not self._sandbox.alive:
            self._start_process()
        assert self._sandbox is not None
        return self._sandbox

    def _start_process(self) -> None:
        started = time.perf_counter()
        python = os.environ.get("MONT_LAMBDA_PYTHON", sys.executable)
        handler = self.function_version.config.handler
        self._sandbox = Sandbox(
            command=(python, "-m", "awslambdaric", handler),
            folder=Path(self._environment["LAMBDA_TASK_ROOT"]),
            environment=self._environment,
            log=self._log,
        )
        self._sandbox.wait_until_ready()
        self._init_report = f"\tInit Duration: {(time.perf_counter() - started) * 1000:.2f} ms\t"

    def _answered(self, sandbox: Sandbox, payload: dict[str, str]) -> Outcome:
        seconds = self.function_version.config.timeout
        event = Invocation(
            request_id=payload["invoke-id"],
            function_arn=payload["invoked-function-arn"],
            trace_id=payload["trace-id"],
            deadline_ms=int((time.time() + seconds) * 1000),
            payload=payload["payload"].encode(),
        )
        try:
            return sandbox.invoke(event, seconds)
        except TimedOut:
            sandbox.kill()
        message = f"Task timed out after {seconds:.2f} seconds"
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        with self._log.open("a") as log:
            log.write(f"{moment}Z {event.request_id} {message}\n")
        return Outcome.error("Sandbox.Timedout", f"RequestId: {event.request_id} Error: {message}")

    def _log_size(self) -> int:
        # What a new process wrote while loading belongs to its first event, as on AWS.
        if self._init_report or not self._log.exists():
            return 0
        return self._log.stat().st_size

    def _log_from(self, offset: int) -> str:
        if not self._log.exists():
            return ""
        with self._log.open("rb") as log:
            log.seek(offset)
            return log.read().decode("utf-8", "replace")

    def _framed(self, request_id: str, output: str, milliseconds: float) -> str:
        report, self._init_report = self._init_report, ""
        version = self.function_version.id.qualifier
        memory = self.function_version.config.memory_size
        return (
            f"START RequestId: {request_id} Version: {version}\n"
            f"{output.rstrip()}\n"
            f"END RequestId: {request_id}\n"
            f"REPORT RequestId: {request_id}\tDuration: {milliseconds:.2f} ms\t"
            f"Memory Size: {memory} MB{report}\n"
        )
