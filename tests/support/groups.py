"""Which tests run in one process, where several share the work, and which of them come first.

Told by a test's id alone: the process that hands out the work knows no more of it. xdist's own way,
a mark that its workers append to the id, is lost without a word on pytest 9.2, where ids are fixed.
"""

from __future__ import annotations

import re

from xdist.scheduler import LoadScopeScheduling

LOCALSTACK, BROWSER = "localstack", "browser"
# What takes longest, begun first, so that all processes end at about the same time.
_LONGEST = (
    LOCALSTACK,
    BROWSER,
    "tests/integration/test_package.py",
    "tests/faults/test_faults.py",
    "tests/edges/test_validation.py",
    "tests/edges/test_listing.py",
    "tests/integration/test_provisioning.py",
    "tests/integration/test_server.py",
    "tests/integration/test_deploy.py",
    "tests/unit/test_quick_start.py",
    "tests/fuzz/test_described.py",
)


def group_of(nodeid: str) -> str:
    """What shares something dear: all that needs LocalStack, all that needs a browser, a file."""
    path, _, test = nodeid.partition("::")
    parameters = re.split(r"[\[\]-]", test)[1:]
    if path.startswith("tests/e2e/") or "localstack" in path or "gateway" in parameters:
        return LOCALSTACK
    return BROWSER if path.startswith("tests/browser/") else path


def place_of(nodeid: str) -> int:
    """Where a test's group is in the order of groups: those of one place keep theirs."""
    group = group_of(nodeid)
    return _LONGEST.index(group) if group in _LONGEST else len(_LONGEST)


class GroupScheduling(LoadScopeScheduling):
    """Hands out whole groups."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
