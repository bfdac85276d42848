"""The functions: one for each of the five core calls, and one for all the rest.

All are the same package and answer any endpoint; their permissions differ. Which one an event
reaches is API Gateway's business; the name only says what an event without method and path means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lambda_bridge.container import Container
from lambda_bridge.events import ID_HEADER, completed
from lambda_bridge.observation import logger, metrics
from service.endpoints import ENDPOINTS

Entry = Callable[[Mapping[str, Any], Any], dict[str, Any]]

FUNCTIONS: dict[str, str] = {
    "upload_presigned_url": "upload_url",
    "complete_upload": "complete",
    "list_images": "list_images",
    "get_image_presigned_url": "download_url",
    "delete_image": "delete_image",
    "image_api": "livez",
}
"""Function name -> the endpoint that an event without method and path is for."""


def entry_of(function: str, container: Container) -> Entry:
    """The entry point of one function in this container."""
    endpoint = next(each for each in ENDPOINTS if each.name == FUNCTIONS[function])

    @metrics.log_metrics(capture_cold_start_metric=True)
    @logger.inject_lambda_context
    def handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
        whole = completed(event, endpoint, context.aws_request_id)
        logger.set_correlation_id(whole["headers"][ID_HEADER])
        return container.answer(whole, context)

    entry: Entry = handle
    return entry
