"""What all suites share: how hypothesis searches."""

import os

from hypothesis import settings

# On a build machine the same examples every time; elsewhere new ones on every run.
_ON_CI = os.environ.get("CI") == "true"
settings.register_profile(
    "mont",
    deadline=None,
    max_examples=100,
    derandomize=_ON_CI,
    database=None if _ON_CI else settings.default.database,
    print_blob=True,
)
settings.load_profile("mont")
