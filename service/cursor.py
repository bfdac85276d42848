"""next_token: a position in a list, sealed together with the query that it belongs to.

A token is `version | timestamp | id | seal`, base64url, 44 characters. It names a place in the
order, not a row of a store, so it survives deletions and works for any index and shard count.
"""

from __future__ import annotations

import base64
import hmac
import re
import struct
import uuid
from dataclasses import dataclass

import orjson

from service import timestamps
from service.errors import CursorForged
from service.model import Position, Selection

_BODY = struct.Struct(">Bq16s")
_VERSION = 1
_SEAL_BYTES = 8
_TOKEN = re.compile(r"[A-Za-z0-9_-]{44}", re.ASCII)


@dataclass(frozen=True, slots=True)
class CursorSealer:
    """Seals positions with `secret`; replicas that share it accept each other's tokens."""

    secret: bytes

    def seal(self, position: Position, selection: Selection) -> str:
        """A token that continues `selection` behind `position`."""
        body = _BODY.pack(
            _VERSION, timestamps.to_micros(position.timestamp), uuid.UUID(position.image_id).bytes
        )
        return base64.urlsafe_b64encode(body + self._seal(body, selection)).decode()

    def open(self, token: str, selection: Selection) -> Position:
        """The position in a token of the same query. Raises CursorForged for anything else."""
        if not _TOKEN.fullmatch(token):
            raise CursorForged
        raw = base64.urlsafe_b64decode(token)
        body, seal = raw[: _BODY.size], raw[_BODY.size :]
        if not hmac.compare_digest(seal, self._seal(body, selection)):
            raise CursorForged
        version, micros, image_id = _BODY.unpack(body)
        try:
            timestamp = timestamps.from_micros(micros)
        except (OverflowError, ValueError) as error:  # sealed by somebody who knows the secret
            raise CursorForged from error
        if version != _VERSION:
            raise CursorForged
        return Position(timestamp, str(uuid.UUID(bytes=image_id)))

    def _seal(self, body: bytes, selection: Selection) -> bytes:
        query = orjson.dumps(
            [
                selection.user_id,
                selection.earliest,
                selection.latest,
                selection.tag,
                selection.order,
            ]
        )
        return hmac.digest(self.secret, body + query, "sha256")[:_SEAL_BYTES]
