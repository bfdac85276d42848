"""The entry points that Lambda calls by name. Importing this makes this process a container."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from lambda_bridge import quick_start  # before what it loads
from lambda_bridge.container import Container
from lambda_bridge.functions import entry_of
from lambda_bridge.observation import join_service_logs

join_service_logs()
_container = Container(os.environ)

upload_presigned_url = entry_of("upload_presigned_url", _container)
complete_upload = entry_of("complete_upload", _container)
list_images = entry_of("list_images", _container)
get_image_presigned_url = entry_of("get_image_presigned_url", _container)
delete_image = entry_of("delete_image", _container)
image_api = entry_of("image_api", _container)


def sweep_images(event: Mapping[str, Any], context: Any) -> dict[str, object]:
    """Settle what was left behind: no part of the API, and called by a schedule."""
    # No other function has a use for it, and each would take the longer to start.
    from lambda_bridge.sweep import run

    return run(event, context)


def publish_events(batch: Mapping[str, Any], context: Any) -> dict[str, object]:
    """Take events from their table's stream to the bus: no part of the API either."""
    from lambda_bridge.event_bus import run

    return run(batch, context)


quick_start.loaded()
