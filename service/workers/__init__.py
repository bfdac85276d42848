"""Several processes that serve on one port.

The supervisor holds the listening sockets, one for each worker (SO_REUSEPORT: the kernel deals out
connections), and lends them. So whoever connects while a worker is being replaced waits in its
socket for the next one, and nobody is refused.
"""

from service.workers.supervisor import WorkersFailed, supervised

__all__ = ["WorkersFailed", "supervised"]
