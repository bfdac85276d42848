"""One process of a function and its Runtime API. Knows nothing of LocalStack."""

import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from mont_localstack.wire import Invocation, Outcome, RuntimeApi

_STOP_SECONDS = 2.0


class Sandbox:
    """A running process; it is never restarted, only replaced by another sandbox."""

    def __init__(
        self, *, command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path
    ) -> None:
        self._api = RuntimeApi()
        # A file rather than a pipe: whatever was written before an answer is there to read when
        # the answer has come, and the last words of a killed process are not lost.
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env={**environment, "AWS_LAMBDA_RUNTIME_API": self._api.address},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def wait_until_ready(self) -> None:
        """Return once the process asks for its first event. Raises InitFailed."""
        self._api.wait_until_ready()

    def invoke(self, event: Invocation, seconds: float) -> Outcome:
        """Hand over one event. A process that dies over it is an error outcome. Raises TimedOut."""
        return self._api.invoke(event, seconds)

    def stop(self) -> None:
        """End the process, by force if it does not go."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._process.wait()

    def _watch(self) -> None:
        status = self._process.wait()
        self._api.close(Outcome.error("Runtime.ExitError", f"Runtime exited with status {status}"))
