"""The child process of the embedded backend: `python -m service.embedded.child --port N`.

Serves moto's S3 and DynamoDB on 127.0.0.1, needs neither network nor credentials, writes one line
("ready PORT") to its standard output and ends when its standard input closes.
"""

import argparse
import os
import socket
import sys
import threading

from service.embedded.supervisor import EXIT_NOT_INSTALLED, EXIT_PORT_TAKEN, READY


def main() -> int:
    """Serve until the parent goes away; return an exit status when that cannot even begin."""
    parser = argparse.ArgumentParser(prog="python -m service.embedded.child", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 (default) takes any free port")
    port: int = parser.parse_args().port
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        listener = socket.create_server(("127.0.0.1", port), backlog=512)
    except (OSError, OverflowError) as error:
        print(f"cannot listen on port {port}: {error}", file=sys.stderr)
        return EXIT_PORT_TAKEN
    try:
        from service.embedded.server import moto_server
    except ImportError as error:
        print(error, file=sys.stderr)
        return EXIT_NOT_INSTALLED
    server = moto_server(listener)
    _announce(listener.getsockname()[1])
    server.serve_forever()
    return 0


def _end_with_parent() -> None:
    # The parent holds the other end of this pipe, and the kernel closes it however the parent
    # dies, SIGKILL included. os.read rather than sys.stdin, whose lock would upset an exit.
    while os.read(0, 1024):
        pass
    os._exit(0)


def _announce(port: int) -> None:
    sys.stdout.buffer.write(READY + str(port).encode() + b"\n")
    sys.stdout.flush()
    # Nobody reads the standard output any more: what a library prints goes where it is drained.
    os.dup2(2, 1)


if __name__ == "__main__":
    sys.exit(main())
