"""Signatures by which a receiver tells our webhooks from anybody else's (Standard Webhooks, v1).

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hmac

_PREFIX = "whsec_"
_BYTES = range(24, 65)


def secrets_of(text: str) -> tuple[bytes, ...]:
    """The secrets in a setting, separated by spaces; more than one while they are rotated.

    Raises ValueError for what is none, without showing it.
    """
    return tuple(_secret(part) for part in text.split())


def sign(secrets: tuple[bytes, ...], event_id: str, sent_at: int, payload: bytes) -> str:
    """The `webhook-signature` of one attempt, `sent_at` in seconds since 1970.

    One signature for each secret: a receiver that knows either of two is content.
    """
    signed = b".".join((event_id.encode(), str(sent_at).encode(), payload))
    return " ".join(
        "v1," + base64.b64encode(hmac.digest(secret, signed, "sha256")).decode()
        for secret in secrets
    )


def _secret(text: str) -> bytes:
    try:
        secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not text.startswith(_PREFIX) or len(secret) not in _BYTES:
        raise ValueError(
            "must be whsec_ and 24 to 64 random bytes in base64 "
            "(echo whsec_$(openssl rand -base64 32)); several separated by spaces"
        )
    return secret
