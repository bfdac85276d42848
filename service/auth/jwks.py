"""The public keys that tokens are signed with (RFC 7517), from a file or a URL.

Asked for a key that it does not know, it looks again, but not more often than the source's floor:
otherwise anyone could have the issuer flooded with made-up key ids. While the source is out of
reach, or says nothing usable, the keys of before stay good.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import orjson
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from service.errors import StoreUnavailable

PublicKey = RSAKey | ECKey | OKPKey

# Below the request's own limit: an issuer that hangs must not take the request with it.
_FETCH_SECONDS = 3
# A set of a hundred RSA keys with certificates is below this.
_MOST_BYTES = 256 * 1024
_FEWEST_RSA_BITS = 2048
# While there is no key at all everything waits for the source, so look again sooner.
_FIRST_FLOOR = 5.0
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth"})

_log = logging.getLogger(__name__)


class KeysUnreadable(Exception):
    """The source gave no key set. The message says why."""


class KeySource(Protocol):
    """Where a key set comes from. `lifetime` and `floor` in seconds.

    Keys are used for `lifetime` before they are looked at again, and for an unknown key at most
    every `floor`.
    """

    lifetime: float
    floor: float

    async def read(self) -> bytes | None:
        """The key set, or None if it is as it was last time. Raises KeysUnreadable."""
        ...


class FileKeys:
    """A key set in a file, read again when the file has changed."""

    lifetime = 5.0
    floor = 1.0

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None

    async def read(self) -> bytes | None:
        """See `KeySource`."""
        try:
            return await asyncio.to_thread(self._read_if_changed)
        except OSError as error:
            raise KeysUnreadable(f"{self._path}: {error.strerror}") from error

    def _read_if_changed(self) -> bytes | None:
        with self._path.open("rb") as file:
            status = os.fstat(file.fileno())
            now = (status.st_ino, status.st_size, status.st_mtime_ns)
            if now == self._seen:
                return None
            body = file.read(_MOST_BYTES + 1)
        self._seen = now
        return body


def _trusting() -> ssl.SSLContext:
    """The machine's certificate authorities, read now: aiohttp's own context may have none."""
    return ssl.create_default_context()


class UrlKeys:
    """A key set behind a URL, as an issuer publishes it."""

    lifetime = 300.0
    floor = 30.0

    def __init__(self, url: str) -> None:
        self._url = url

    async def read(self) -> bytes | None:
        """See `KeySource`."""
        timeout = aiohttp.ClientTimeout(total=_FETCH_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                # A redirect could lead to where nothing protects the keys on their way.
                session.get(self._url, allow_redirects=False, ssl=_trusting()) as answer,
            ):
                if answer.status != 200:
                    raise KeysUnreadable(f"{self._url}: status {answer.status}")
                body = bytearray()
                async for chunk in answer.content.iter_any():
                    body += chunk
                    if len(body) > _MOST_BYTES:
                        break
                return bytes(body)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise KeysUnreadable(f"{self._url}: {type(error).__name__}: {error}") from error


def source_of(place: str) -> KeySource:
    """The source that a setting names: a URL, or else the path of a file."""
    return UrlKeys(place) if "://" in place else FileKeys(Path(place))


class SigningKeys:
    """The keys by id, looked up again when that is due."""

    def __init__(self, source: KeySource, monotonic: Callable[[], float]) -> None:
        self._source = source
        self._monotonic = monotonic
        self._keys: dict[str | None, PublicKey] = {}
        self._looking = asyncio.Lock()
        self._looked_at: float | None = None
        self._due_at = float("-inf")
        self._failure = "never read"

    async def find(self, key_id: str | None) -> PublicKey | None:
        """The key with this id, or the only one there is for None.

        Raises StoreUnavailable while there are none at all.
        """
        # Whoever knows a key goes on with it while one of them looks for newer ones.
        if self._monotonic() >= self._due_at and not self._looking.locked():
            await self._look()
        if (key := self._known(key_id)) is None:
            await self._look()
            key = self._known(key_id)
        if not self._keys:
            raise StoreUnavailable("JWKS", self._failure)
        return key

    async def check(self) -> None:
        """Return when there are keys. Raises StoreUnavailable."""
        await self.find("")

    async def load(self) -> None:
        """Look for the first time. Raises KeysUnreadable when that gives nothing."""
        await self._look()
        if not self._keys:
            raise KeysUnreadable(self._failure)

    def _known(self, key_id: str | None) -> PublicKey | None:
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return None if key_id is None else self._keys.get(key_id)

    async def _look(self) -> None:
        """Read the source, unless that was done within the floor."""
        async with self._looking:
            floor = self._source.floor if self._keys else min(self._source.floor, _FIRST_FLOOR)
            now = self._monotonic()
            if self._looked_at is not None and now < self._looked_at + floor:
                return
            self._looked_at = now
            try:
                body = await self._source.read()
                if body is not None:
                    self._keys = _parsed(body)
            except KeysUnreadable as error:
                self._failure = str(error)
                self._due_at = now + floor
                _log.error("no new signing keys, the old ones stay: %s", error)
            else:
                self._due_at = now + self._source.lifetime


def _parsed(body: bytes) -> dict[str | None, PublicKey]:
    """The keys that can be used, by id. Raises KeysUnreadable when there are none."""
    if len(body) > _MOST_BYTES:
        raise KeysUnreadable(f"more than {_MOST_BYTES} bytes")
    try:
        members = orjson.loads(body)["keys"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise KeysUnreadable("not a JSON Web Key Set") from error
    keys = {key.kid: key for key in _usable(members if isinstance(members, list) else [])}
    if not keys:
        raise KeysUnreadable("no key in it can verify a signature")
    return keys


def _usable(members: list[Any]) -> Iterator[PublicKey]:
    """What can verify: no secrets, no keys for encryption, none too short, none that is broken."""
    for member in members:
        if not isinstance(member, dict) or member.get("use", "sig") != "sig":
            continue
        if member.get("kty") == "RSA" and _bits(member.get("n")) < _FEWEST_RSA_BITS:
            continue
        public = {name: value for name, value in member.items() if name not in _PRIVATE}
        try:
            key = JWKRegistry.import_key(public)
        except (JoseError, ValueError, TypeError, KeyError):
            continue
        # Not a shared secret: whoever can read it could sign with it.
        if isinstance(key, PublicKey):
            yield key


def _bits(number: object) -> int:
    """About how long a base64url number is."""
    return len(number) * 6 if isinstance(number, str) else 0
