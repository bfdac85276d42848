"""How long a store is waited for, how often it is asked, and whom it has to prove itself to.

Three tries of at most four seconds would outlive the request's own time limit; the limit wins.
"""

from __future__ import annotations

CONNECT_SECONDS, READ_SECONDS, TRIES = 2.0, 4.0, 3


def verified(endpoint: str | None) -> bool:
    """Whether there is TLS to verify.

    Reading all certificate authorities takes 20 ms before the first request, so they are not read
    for nothing.
    """
    return endpoint is None or not endpoint.startswith("http://")
