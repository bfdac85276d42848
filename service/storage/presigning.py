"""Signs forms and links for one bucket, without asking anybody.

To botocore's letter (the tests compare), and with the names of the two calls of the SDK's client
that do it. Keys are asked for each time, so a rotation is noticed.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-authentication-HTTPPOST.html,
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

from __future__ import annotations

import binascii
import json
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from service.storage.places import KeySource, Place
from service.storage.signing import ALGORITHM, Clock, Signer, encoded, encoded_path


class _Form(NamedTuple):
    """What all forms of one second have in common: fields, and their policy but for its middle."""

    fields: dict[str, str]
    before: str
    behind: str


class _Link(NamedTuple):
    """What all links of one second have in common, ready for their queries."""

    signing: str
    token: str


class Presigner:
    """A client of S3 that has the two calls that need no S3."""

    def __init__(self, keys: KeySource, place: Place, clock: Clock) -> None:
        """`place` is the bucket's, for the host that holders of forms and links can reach."""
        self._keys = keys
        self._clock = clock
        self._signer = Signer(place.region, place.service)
        self.address = place.url
        self._path = place.path
        # A bare host gets the slash that every path begins with.
        self._form_url = place.url if place.path else f"{place.url}/"
        self._tail = f"host:{place.host}\n\nhost\nUNSIGNED-PAYLOAD"
        # By keys and second, so neither outlives what it was made of.
        self._form = lru_cache(maxsize=1)(self._make_form)
        self._link = lru_cache(maxsize=1)(self._make_link)

    # The names and keywords are the SDK's own.
    async def generate_presigned_post(
        self,
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        *,
        Fields: Mapping[str, str],  # noqa: N803
        Conditions: list[object],  # noqa: N803
        ExpiresIn: int,  # noqa: N803
    ) -> dict[str, Any]:
        """A form for one object."""
        keys = await self._keys.get_frozen_credentials()
        stamp = self._clock.stamp()
        form = self._form(keys.access_key, keys.token, stamp, ExpiresIn)
        named = json.dumps([*Conditions, {"bucket": Bucket}, {"key": Key}])
        text = f"{form.before}{named[1:-1]}{form.behind}"
        policy = binascii.b2a_base64(text.encode(), newline=False).decode()
        signature = self._signer.signature(keys, stamp, policy)
        fields = {
            **Fields,
            "key": Key,
            **form.fields,
            "policy": policy,
            "x-amz-signature": signature,
        }
        return {"url": self._form_url, "fields": fields}

    def _make_form(self, access_key: str, token: str | None, stamp: str, seconds: int) -> _Form:
        fields = {
            "x-amz-algorithm": ALGORITHM,
            "x-amz-credential": f"{access_key}/{self._signer.scope(stamp)}",
            "x-amz-date": stamp,
        }
        if token is not None:
            fields["x-amz-security-token"] = token
        end = time.gmtime(self._clock.now() + seconds)
        expiration = time.strftime("%Y-%m-%dT%H:%M:%SZ", end)
        signed = json.dumps([{name: value} for name, value in fields.items()])
        return _Form(
            fields, f'{{"expiration": "{expiration}", "conditions": [', f", {signed[1:-1]}]}}"
        )

    async def generate_presigned_url(
        self,
        operation: str,
        *,
        Params: Mapping[str, str],  # noqa: N803
        ExpiresIn: int,  # noqa: N803
    ) -> str:
        """A link to one object; "get_object" is the only operation."""
        if operation != "get_object":
            raise ValueError(f"links are for get_object, not {operation}")
        keys = await self._keys.get_frozen_credentials()
        stamp = self._clock.stamp()
        link = self._link(keys.access_key, keys.token, stamp, ExpiresIn)
        path = f"/{encoded_path(Params['Key'])}"
        kind = encoded(Params["ResponseContentType"])
        shown = encoded(Params["ResponseContentDisposition"])
        overrides = f"response-content-type={kind}&response-content-disposition={shown}"
        # The same sorted: upper case comes before lower case, and a disposition before a type.
        signature = self._signer.signature_of_request(
            keys,
            stamp,
            f"GET\n{self._path}{path}\n{link.signing}{link.token}&X-Amz-SignedHeaders=host"
            f"&response-content-disposition={shown}&response-content-type={kind}\n{self._tail}",
        )
        return (
            f"{self.address}{path}?{overrides}&{link.signing}&X-Amz-SignedHeaders=host{link.token}"
            f"&X-Amz-Signature={signature}"
        )

    def _make_link(self, access_key: str, token: str | None, stamp: str, seconds: int) -> _Link:
        credential = encoded(f"{access_key}/{self._signer.scope(stamp)}")
        return _Link(
            f"X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential={credential}"
            f"&X-Amz-Date={stamp}&X-Amz-Expires={seconds}",
            "" if token is None else f"&X-Amz-Security-Token={encoded(token)}",
        )
