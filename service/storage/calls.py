"""One call of a store: signed, sent, read, and made again where the rules say so.

What a call is and what its answer means is the clients' business; how it gets there is the
transport's. Each attempt is sent once, and signed anew with the keys of that moment.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from service import __version__
from service.storage.places import KeySource, Place
from service.storage.retries import Retries
from service.storage.signing import Clock, Signer
from service.trail import TIMEOUT, out_of_time

# Loaded by the first call: a function that only signs has no use for it.
if TYPE_CHECKING:
    from service.storage.transport import Reply, StoreSession

OnCall = Callable[[str, str, float, int, str | None], None]
"""(store, operation, seconds, attempts, error's code or None), called after each call of a store.

It runs on the event loop, must be quick and must not raise.
"""

Answer = dict[str, Any]
_AGENT = f"mont-image-service/{__version__}"
# A wrong clock; HEAD has no body to say so in.
_SKEWED = frozenset(
    {
        *("RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"),
        *("InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure", "403"),
    }
)


class DamagedAnswer(HTTPClientError):  # type: ignore[misc]  # botocore has no types
    """An answer that is not what was sent, or makes no sense: as good as none."""

    fmt = "The answer is damaged: {error}"


class Reach(NamedTuple):
    """How a store is reached: who asks, where it is (by bucket; "" is DynamoDB), and over what."""

    keys: KeySource
    locate: Callable[[str], Awaitable[Place]]
    connect: Callable[[], Awaitable[StoreSession]]


class Call(NamedTuple):
    """A request but for place, date and signature, and what its answer means.

    `path` and `query` are encoded as they are sent, the query sorted; names of headers are
    lower-case. `read` raises ClientError for a refusal. `most` bytes of the answer are of use.
    """

    operation: str
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    body_hash: str
    read: Callable[[str, Reply], Answer]
    most: int | None = None


class _Target(NamedTuple):
    """A place taken apart, once."""

    origin: str
    path: str
    host: str
    signer: Signer


class Caller:
    """Makes the calls to one store."""

    def __init__(
        self,
        store: str,
        reach: Reach,
        clock: Clock,
        retries: Retries,
        on_call: OnCall | None,
    ) -> None:
        self._store = store
        self._reach = reach
        self._clock = clock
        self._retries = retries
        self._on_call = on_call
        self._targets: dict[str, _Target] = {}

    async def make(self, call: Call, bucket: str = "") -> Answer:
        """The answer to a call. Raises what a client of the SDK raises."""
        started = time.perf_counter()
        attempt, taken, code = 1, None, None
        try:
            while True:
                try:
                    answer = await self._attempt(call, bucket)
                except (ClientError, BotoCoreError) as error:
                    taken = await self._again(attempt, error)
                    if taken is None:
                        raise
                    attempt += 1
                else:
                    self._retries.succeeded(taken)
                    answer["ResponseMetadata"]["RetryAttempts"] = attempt - 1
                    return answer
        except BaseException as error:
            code = _code(error)
            if isinstance(error, ClientError):
                error.response["ResponseMetadata"]["RetryAttempts"] = attempt - 1
            raise
        finally:
            if self._on_call is not None:
                seconds = time.perf_counter() - started
                self._on_call(self._store, call.operation, seconds, attempt, code)

    async def _attempt(self, call: Call, bucket: str) -> Answer:
        reach = self._reach
        target = self._targets.get(bucket) or await self._target(bucket)
        path = target.path + call.path or "/"
        headers = {"host": target.host, **call.headers}
        keys = await reach.keys.get_frozen_credentials()
        target.signer.authorize(
            keys, self._clock.stamp(), call.method, path, call.query, headers, call.body_hash
        )
        headers["user-agent"] = _AGENT
        headers["accept-encoding"] = "identity"  # or what arrives is not as long as was said
        if call.query:
            path += f"?{call.query}"
        session = await reach.connect()
        reply = await session.exchange(
            call.method, target.origin, path, headers, call.body, call.most
        )
        return call.read(call.operation, reply)

    async def _target(self, bucket: str) -> _Target:
        place = await self._reach.locate(bucket)
        parts = urlsplit(place.url)
        target = _Target(
            f"{parts.scheme}://{parts.netloc}",
            place.path,
            place.host,
            Signer(place.region, place.service),
        )
        self._targets[bucket] = target
        return target

    async def _again(self, attempt: int, error: Exception) -> int | None:
        """Wait for the next attempt, if there is to be one: what it takes from the quota."""
        if isinstance(error, ClientError) and error.response["Error"]["Code"] in _SKEWED:
            date = error.response["ResponseMetadata"]["HTTPHeaders"].get("date", "")
            # The store is well, so nothing is taken; and a right clock is never corrected again.
            return 0 if self._clock.correct(date) and attempt < self._retries.tries else None
        return await self._retries.wait(attempt, error)


def metadata(reply: Reply, request_id: str) -> Answer:
    """What the SDK says about an answer beside what is in it."""
    headers = reply.headers
    return {
        "RequestId": headers.get(request_id, ""),
        "HTTPStatusCode": reply.status,
        "HTTPHeaders": headers,
    }


def reason(status: int) -> str:
    """What a status means where an answer does not say."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _code(error: BaseException) -> str:
    if isinstance(error, ClientError):
        return str(error.response["Error"]["Code"])
    if isinstance(error, asyncio.CancelledError) and out_of_time():
        return TIMEOUT
    return type(error).__name__
