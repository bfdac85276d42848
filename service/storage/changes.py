"""What provisioning did, what it cannot do, and how long it keeps trying."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from botocore.exceptions import ClientError

from service.storage.clients import error_code

# One call of an aiobotocore client; its keyword arguments and its answer are botocore's.
Call = Callable[..., Awaitable[Mapping[str, Any]]]

_UNSUPPORTED = {"NotImplemented", "NotImplementedException", "UnknownOperationException"}
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0


class ProvisioningConflict(Exception):
    """Something is in the way that could only be changed by deleting it. The message says what."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that was made or repaired, or that this endpoint cannot do."""

    resource: str
    kind: Literal["created", "updated", "unsupported"]
    what: str

    def __str__(self) -> str:
        return f"{self.resource}: {self.what} {self.kind}"


def is_unsupported(error: ClientError) -> bool:
    """Whether the endpoint lacks the call, as emulators do. A refusal is no lack."""
    return error_code(error) in _UNSUPPORTED or http_status(error) == 501


def http_status(error: ClientError) -> int:
    """The status of the answer; 0 where it had none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def pauses() -> Iterator[float]:
    """Seconds to wait between looks, ever longer, without end: the caller holds the limit."""
    pause = _SHORTEST_PAUSE
    while True:
        yield pause
        pause = min(pause * 2, _LONGEST_PAUSE)


async def insist(call: Call, passing: frozenset[str], **arguments: Any) -> Mapping[str, Any]:
    """Repeat a call while it fails with one of the `passing` codes. The caller holds the limit."""
    waits = pauses()
    while True:
        try:
            return await call(**arguments)
        except ClientError as error:
            if error_code(error) not in passing:
                raise
        await asyncio.sleep(next(waits))
