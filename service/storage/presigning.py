"""Signs forms and links for one bucket, without asking anybody.

To botocore's letter (the tests compare), and with the names of the two calls of the SDK's client
that do it. Keys are asked for each time, so a rotation is noticed.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-authentication-HTTPPOST.html,
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from typing import Any

from service.storage.places import KeySource, Place
from service.storage.signing import ALGORITHM, Clock, Signer, encoded, encoded_path


class Presigner:
    """A client of S3 that has the two calls that need no S3."""

    def __init__(self, keys: KeySource, place: Place, clock: Clock) -> None:
        """`place` is the bucket's, for the host that holders of forms and links can reach."""
        self._keys = keys
        self._clock = clock
        self._signer = Signer(place.region, place.service)
        self._url = place.url
        self._path = place.path
        # A bare host gets the slash that every path begins with.
        self._form_url = place.url if place.path else f"{place.url}/"
        self._tail = f"host:{place.host}\n\nhost\nUNSIGNED-PAYLOAD"

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
        signing = {
            "x-amz-algorithm": ALGORITHM,
            "x-amz-credential": f"{keys.access_key}/{self._signer.scope(stamp)}",
            "x-amz-date": stamp,
        }
        if keys.token is not None:
            signing["x-amz-security-token"] = keys.token
        end = time.gmtime(self._clock.now() + ExpiresIn)
        named = {"bucket": Bucket, "key": Key, **signing}
        document = {
            "expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", end),
            "conditions": [*Conditions, *[{name: value} for name, value in named.items()]],
        }
        policy = base64.b64encode(json.dumps(document).encode()).decode()
        fields = {**Fields, "key": Key, **signing, "policy": policy}
        fields["x-amz-signature"] = self._signer.signature(keys, stamp, policy)
        return {"url": self._form_url, "fields": fields}

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
        credential = f"{keys.access_key}/{self._signer.scope(stamp)}"
        path = f"/{encoded_path(Params['Key'])}"
        kind = encoded(Params["ResponseContentType"])
        shown = encoded(Params["ResponseContentDisposition"])
        overrides = f"response-content-type={kind}&response-content-disposition={shown}"
        signing = (
            f"X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential={encoded(credential)}"
            f"&X-Amz-Date={stamp}&X-Amz-Expires={ExpiresIn}"
        )
        token = ""
        if keys.token is not None:
            token = f"&X-Amz-Security-Token={encoded(keys.token)}"
        # The same sorted: upper case comes before lower case, and a disposition before a type.
        signature = self._signer.signature_of_request(
            keys,
            stamp,
            f"GET\n{self._path}{path}\n{signing}{token}&X-Amz-SignedHeaders=host"
            f"&response-content-disposition={shown}&response-content-type={kind}\n{self._tail}",
        )
        return (
            f"{self._url}{path}?{overrides}&{signing}&X-Amz-SignedHeaders=host{token}"
            f"&X-Amz-Signature={signature}"
        )
