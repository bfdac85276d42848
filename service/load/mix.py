"""What users do, and in which proportion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from random import Random

# Calls of the API, and exchanges with S3 itself.
UPLOAD_URL, COMPLETE, LIST, GET = "upload-url", "complete", "list", "get"
DOWNLOAD_URL, EDIT, DELETE = "download-url", "edit", "delete"
S3_POST, S3_GET = "s3-post", "s3-get"
S3_CALLS = frozenset({S3_POST, S3_GET})

ACTIONS: Mapping[str, Sequence[str]] = {
    "upload": (UPLOAD_URL, S3_POST, COMPLETE),
    "list": (LIST,),
    "get": (GET,),
    "link": (DOWNLOAD_URL,),
    "download": (DOWNLOAD_URL, S3_GET),
    "edit": (EDIT,),
    "delete": (DELETE,),
}
"""Each action and the calls that it takes."""
DEFAULT_MIX = "upload=10,list=40,get=20,link=20,download=5,edit=3,delete=2"


class MixInvalid(ValueError):
    """A mix that cannot be followed; the message says why."""


class Mix:
    """Actions and their shares, which need not add up to anything."""

    def __init__(self, shares: Mapping[str, float]) -> None:
        self.shares = {name: share for name, share in shares.items() if share > 0}
        self._names = list(self.shares)
        self._cumulated = list(accumulate(self.shares.values()))

    @property
    def calls(self) -> list[str]:
        """The calls that it is made of, in the order of a life of an image."""
        return list(dict.fromkeys(call for name in self.shares for call in ACTIONS[name]))

    def draw(self, random: Random) -> str:
        """The next action."""
        return random.choices(self._names, cum_weights=self._cumulated)[0]


def parse_mix(text: str) -> Mix:
    """Shares of actions, as in "upload=1,list=8". Raises MixInvalid."""
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, sign, number = (each.strip() for each in part.partition("="))
        if name not in ACTIONS:
            raise MixInvalid(f"{name!r} is none of {', '.join(ACTIONS)}")
        if name in shares:
            raise MixInvalid(f"{name} is there twice")
        try:
            share = float(number) if sign else -1.0
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1e9:
            raise MixInvalid(f"{part.strip()!r} must be an action and its share, such as list=40")
        shares[name] = share
    if not any(shares.values()):
        raise MixInvalid("at least one action must have a share above 0")
    return Mix(shares)
