"""AWS's signature of version 4, with the signing key kept for as long as it is good: a day.

To botocore's letter, which the tests compare. Knows neither stores nor connections.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from urllib.parse import quote

from service.storage.places import Keys

ALGORITHM = "AWS4-HMAC-SHA256"
NOTHING_HASHED = hashlib.sha256(b"").hexdigest()
# AWS allows a quarter of an hour; smaller differences than this are none that it refuses.
_SKEW_SECONDS = 240


_UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~"
_ENCODED = {code: f"%{code:02X}" for code in range(128) if chr(code) not in _UNRESERVED}
_ENCODED_IN_PATHS = {code: text for code, text in _ENCODED.items() if code != ord("/")}


def encoded(text: str) -> str:
    """A text as a value in a query: whatever is not unreserved (RFC 3986) per cent encoded."""
    # As `quote` has it, in half the time.
    return text.translate(_ENCODED) if text.isascii() else quote(text, safe="")


def encoded_path(text: str) -> str:
    """A text as a path, whose slashes stay."""
    return text.translate(_ENCODED_IN_PATHS) if text.isascii() else quote(text, safe="/")


class Clock:
    """The time by which a store judges signatures: this machine's, until the store objects."""

    def __init__(self, seconds: Callable[[], float] = time.time) -> None:
        self._seconds = seconds
        self._offset = 0.0
        self._second = -1
        self._stamp = ""

    def now(self) -> float:
        """Seconds since 1970."""
        return self._seconds() + self._offset

    def stamp(self) -> str:
        """Now, such as 20260213T120005Z."""
        second = int(self.now())
        if second != self._second:
            self._stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
            self._second = second
        return self._stamp

    def correct(self, date: str) -> bool:
        """Go by the Date header of an answer from now on; whether that makes a difference."""
        try:
            theirs = parsedate_to_datetime(date).timestamp()
        except ValueError:
            return False
        difference = theirs - self.now()
        if abs(difference) < _SKEW_SECONDS:
            return False
        self._offset += difference
        return True


class Signer:
    """Signs for one region and service."""

    def __init__(self, region: str, service: str) -> None:
        self._region = region
        self._service = service
        self._made_of: tuple[str, str] | None = None
        self._mac = hmac.new(b"", digestmod="sha256")

    def scope(self, stamp: str) -> str:
        """The scope of a signature made at this moment."""
        return f"{stamp[:8]}/{self._region}/{self._service}/aws4_request"

    def signature(self, keys: Keys, stamp: str, text: str) -> str:
        """The signature of a text, in hexadecimal."""
        made_of = (keys.secret_key, stamp[:8])
        if made_of != self._made_of:
            key = b"AWS4" + keys.secret_key.encode()
            for part in self.scope(stamp).split("/"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._made_of, self._mac = made_of, hmac.new(key, digestmod="sha256")
        mac = self._mac.copy()  # half of the work is that of the key, and done
        mac.update(text.encode())
        return mac.hexdigest()

    def signature_of_request(self, keys: Keys, stamp: str, canonical: str) -> str:
        """The signature of a canonical request."""
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        return self.signature(keys, stamp, f"{ALGORITHM}\n{stamp}\n{self.scope(stamp)}\n{digest}")

    def authorize(
        self,
        keys: Keys,
        stamp: str,
        method: str,
        path: str,
        query: str,
        headers: dict[str, str],
        body_hash: str,
    ) -> None:
        """Add date, token and signature to the headers; every header is signed.

        Names are lower-case, `host` among them; `path` and `query` are encoded as they are sent,
        the query sorted.
        """
        headers["x-amz-date"] = stamp
        if keys.token:
            headers["x-amz-security-token"] = keys.token
        ordered = sorted(headers.items())
        names = ";".join([name for name, _ in ordered])
        lines = "\n".join([f"{name}:{' '.join(value.split())}" for name, value in ordered])
        signature = self.signature_of_request(
            keys, stamp, f"{method}\n{path}\n{query}\n{lines}\n\n{names}\n{body_hash}"
        )
        headers["authorization"] = (
            f"{ALGORITHM} Credential={keys.access_key}/{self.scope(stamp)}, "
            f"SignedHeaders={names}, Signature={signature}"
        )
