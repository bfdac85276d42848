"""Which events there are, and what each says. The body is that of Standard Webhooks.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import uuid

import orjson

from service.model import COMPLETED, Event, EventType, Image
from service.schemas.answers import image_document


def image_completed(image: Image) -> Event:
    """An upload was verified and is an image now."""
    return _event("image.completed", image, image.upload_timestamp)


def image_deleted(image: Image, occurred_at: str) -> Event:
    """An image and its bytes are gone. What is told of it is what it was."""
    return _event("image.deleted", image, occurred_at)


def _event(kind: EventType, image: Image, occurred_at: str) -> Event:
    document = dict(image_document(image))
    document["status"] = COMPLETED if kind == "image.completed" else "deleted"
    payload = {"type": kind, "timestamp": occurred_at, "data": document}
    return Event(f"evt_{uuid.uuid4().hex}", kind, occurred_at, orjson.dumps(payload).decode())
