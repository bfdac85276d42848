"""Runs a command and sees to its end: `python guardian.py COMMAND...`, in a session of its own.

When the standard input closes, which the kernel does however the process at the other end dies,
or when the command ends, everything in the session is killed. Nothing there is worth an orderly
end: LocalStack would first wait for services that are still loading, and it keeps no state.
"""

import os
import signal
import subprocess
import sys
import threading


def main() -> None:
    """Run the command until its end or the parent's."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: _end_all())
    command = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    threading.Thread(target=_end_with, args=(command,), daemon=True).start()
    while os.read(0, 1024):
        pass
    _end_all()


def _end_with(command: subprocess.Popen[bytes]) -> None:
    command.wait()
    _end_all()


def _end_all() -> None:
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
