"""Whether a call that failed is made again, and after how long: the SDK's standard mode.

The rules are botocore's own code; only what decides about single operations by their model is
written down here, since no model is loaded. One of these is shared by all calls to a store: the
quota is what keeps a thousand callers from asking a store that is down three thousand times.

https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

# Loaded when something has failed for the first time.
if TYPE_CHECKING:
    from botocore.retries.quota import RetryQuota
    from botocore.retries.standard import RetryContext

# The only error of a call made here that its model calls retryable.
_RETRYABLE = "ReplicatedWriteConflictException"


class Retries:
    """The attempts of the calls to one store."""

    def __init__(
        self,
        tries: int,
        chance: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.tries = tries
        self._chance = chance
        self._sleep = sleep
        self._quota: RetryQuota | None = None  # full, as long as nothing was taken

    def succeeded(self, taken: int | None) -> None:
        """Give back to the quota: what the last attempt took, or a bit where there was but one."""
        if self._quota is not None:
            self._quota.release(1 if taken is None else taken)

    async def wait(self, attempt: int, error: Exception) -> int | None:
        """Wait until it is time for the next attempt; what that takes from the quota.

        None: there is none. `attempt` is the number of the one that failed, from 1.
        """
        if attempt >= self.tries:
            return None
        from botocore.retries.quota import RetryQuota
        from botocore.retries.standard import ExponentialBackoff, RetryQuotaChecker

        self._quota = self._quota or RetryQuota()
        context = _context(attempt, error)
        if not _is_retryable(context) or not RetryQuotaChecker(self._quota).acquire_retry_quota(
            context
        ):
            return None
        await self._sleep(ExponentialBackoff(random=self._chance).delay_amount(context))
        taken: int = context.request_context["retry_quota_capacity"]
        return taken


def _context(attempt: int, error: Exception) -> RetryContext:
    from botocore.awsrequest import AWSResponse
    from botocore.retries.standard import RetryContext

    if not isinstance(error, ClientError):
        return RetryContext(attempt, caught_exception=error, request_context={})
    metadata: dict[str, Any] = error.response["ResponseMetadata"]
    answer = AWSResponse("", metadata["HTTPStatusCode"], metadata["HTTPHeaders"], None)
    return RetryContext(
        attempt, parsed_response=error.response, http_response=answer, request_context={}
    )


def _is_retryable(context: RetryContext) -> bool:
    from botocore.retries.standard import ThrottledRetryableChecker, TransientRetryableChecker

    if context.get_error_code() == _RETRYABLE:
        return True
    return bool(
        TransientRetryableChecker().is_retryable(context)
        or ThrottledRetryableChecker().is_retryable(context)
    )
