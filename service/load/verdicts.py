"""What became of one exchange: good, turned away, or one of the classes of errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import aiohttp

from service.client import (
    ChecksumMismatch,
    ConnectionFailed,
    MontError,
    MontProblem,
    StorageRefused,
    UnexpectedAnswer,
)

Kind = Literal["good", "turned away", "error"]
# Too many requests, or not now: the service did what it should under load.
_TURNED_AWAY = frozenset({429, 503})
_OWN_WORDS: dict[type[BaseException], str] = {
    ChecksumMismatch: "other bytes arrived than were sent",
    UnexpectedAnswer: "no answer of this API",
}
_NO_TYPE = frozenset({"", "about:blank"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome; `name` is the problem's type, or what else there is to tell classes apart.

    `waited`: the answer never came, so that the time until then says how slow it was.
    """

    kind: Kind
    name: str = ""
    waited: bool = False


GOOD = Verdict("good")
TIMED_OUT = Verdict("error", "timeout", waited=True)
UNFINISHED = Verdict("error", "unanswered at the end", waited=True)
NOT_SENT = Verdict("error", "not sent in time", waited=True)


def verdict_of(error: MontError | TimeoutError) -> Verdict:
    """The class of an error."""
    if isinstance(error, MontProblem):
        word = error.type.rpartition(":")[2]
        named = f"status {error.status}" if error.type in _NO_TYPE else f"{error.status} {word}"
        return _answered(error.status, named)
    match error:
        case StorageRefused():
            return _answered(error.status, f"S3 {error.status} {error.code}".rstrip())
        case TimeoutError():
            return TIMED_OUT
        case ConnectionFailed():
            return _broken(error.__cause__)
    return Verdict("error", _OWN_WORDS.get(type(error), type(error).__name__))


def _answered(status: int, name: str) -> Verdict:
    return Verdict("turned away" if status in _TURNED_AWAY else "error", name)


def _broken(cause: BaseException | None) -> Verdict:
    match cause:
        case TimeoutError():
            return TIMED_OUT
        case aiohttp.ClientConnectorError():
            return Verdict("error", "network: no connection")
        case aiohttp.ClientPayloadError():
            return Verdict("error", "network: answer cut short")
        case aiohttp.ServerDisconnectedError() | ConnectionResetError() | BrokenPipeError():
            return Verdict("error", "network: connection closed")
    return Verdict("error", f"network: {type(cause).__name__}")
