"""Cuts botocore's list of endpoints down to the two services that are called.

It is read where the SDK has to be asked where a store is, all 1.2 MB of it, before the first
request.
"""

from __future__ import annotations

import json
from pathlib import Path

_SERVICES = ("s3", "dynamodb")


def reduce_endpoints(folder: Path) -> None:
    """Reduce the list of the botocore in `folder`."""
    path = folder / "botocore" / "data" / "endpoints.json"
    document = json.loads(path.read_bytes())
    for partition in document["partitions"]:
        known = partition["services"]
        partition["services"] = {name: known[name] for name in _SERVICES if name in known}
    path.write_text(json.dumps(document, separators=(",", ":")), "utf-8")
