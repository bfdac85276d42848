"""Signs S3 forms and links by itself, where the address and the keys are known without asking.

To botocore's letter (the tests compare), so it stands in for a client's two presigning calls. It
is there for functions that only sign: loading the SDK and S3's model for that would take most of
their start. Wherever something else could have a say (profiles, roles of other kinds, other
partitions, dual-stack and the like), there is no signer, and the SDK decides as ever.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-authentication-HTTPPOST.html,
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

_ALGORITHM = "AWS4-HMAC-SHA256"
_PLAIN_REGION = re.compile(r"(us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-\d")
# A dot in it would not match the certificate, and the SDK would take the path's way.
_PLAIN_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_DECIDING = re.compile(
    r"AWS_(PROFILE|DEFAULT_PROFILE|CONFIG_FILE|ENDPOINT_URL_S3|USE_\w+|S3_\w+|IGNORE_\w+)"
)


@dataclass(frozen=True, slots=True)
class Keys:
    """Credentials that do not change while the process lives."""

    access_key: str
    secret_key: str
    token: str | None


class Presigner:
    """A client of S3 that has the two calls that need no S3."""

    def __init__(self, keys: Keys, region: str, bucket_url: str) -> None:
        """`bucket_url` ends without a slash."""
        self._keys = keys
        self._region = region
        self._bucket_url = bucket_url

    # The names are those of the SDK's own client, which this stands in for.
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
        now = _utc_now()
        stamp, scope = self._moment(now)
        signing = {
            "x-amz-algorithm": _ALGORITHM,
            "x-amz-credential": f"{self._keys.access_key}/{scope}",
            "x-amz-date": stamp,
        }
        if self._keys.token is not None:
            signing["x-amz-security-token"] = self._keys.token
        expiration = (now + timedelta(seconds=ExpiresIn)).strftime("%Y-%m-%dT%H:%M:%SZ")
        named = {"bucket": Bucket, "key": Key, **signing}
        conditions = [*Conditions, *({name: value} for name, value in named.items())]
        policy = base64.b64encode(
            json.dumps({"expiration": expiration, "conditions": conditions}).encode()
        ).decode()
        fields = {**Fields, "key": Key, **signing, "policy": policy}
        fields["x-amz-signature"] = self._signature(scope, policy)
        plain = urlsplit(self._bucket_url).path == ""
        return {"url": self._bucket_url + "/" * plain, "fields": fields}

    async def generate_presigned_url(
        self,
        operation: str,
        *,
        Params: Mapping[str, str],  # noqa: N803
        ExpiresIn: int,  # noqa: N803
    ) -> str:
        """A link to one object."""
        assert operation == "get_object"
        stamp, scope = self._moment(_utc_now())
        url = f"{self._bucket_url}/{quote(Params['Key'], safe='/~')}"
        query = {
            "response-content-type": Params["ResponseContentType"],
            "response-content-disposition": Params["ResponseContentDisposition"],
            "X-Amz-Algorithm": _ALGORITHM,
            "X-Amz-Credential": f"{self._keys.access_key}/{scope}",
            "X-Amz-Date": stamp,
            "X-Amz-Expires": str(ExpiresIn),
            "X-Amz-SignedHeaders": "host",
        }
        if self._keys.token is not None:
            query["X-Amz-Security-Token"] = self._keys.token
        pairs = [f"{name}={quote(value, safe='-_.~')}" for name, value in query.items()]
        parts = urlsplit(url)
        canonical = "\n".join(
            ["GET", parts.path, "&".join(sorted(pairs)), f"host:{parts.netloc}", "", "host"]
        )
        digest = hashlib.sha256(f"{canonical}\nUNSIGNED-PAYLOAD".encode()).hexdigest()
        signature = self._signature(scope, f"{_ALGORITHM}\n{stamp}\n{scope}\n{digest}")
        return f"{url}?{'&'.join(pairs)}&X-Amz-Signature={signature}"

    def _moment(self, now: datetime) -> tuple[str, str]:
        stamp = now.strftime("%Y%m%dT%H%M%SZ")
        return stamp, f"{stamp[:8]}/{self._region}/s3/aws4_request"

    def _signature(self, scope: str, text: str) -> str:
        key = b"AWS4" + self._keys.secret_key.encode()
        for part in (*scope.split("/"), text):
            key = hmac.digest(key, part.encode(), "sha256")
        return key.hex()


def presigner(
    environment: Mapping[str, str], region: str, endpoint: str | None, bucket: str
) -> Presigner | None:
    """A signer, where the environment settles everything it has to know."""
    access_key = environment.get("AWS_ACCESS_KEY_ID")
    secret_key = environment.get("AWS_SECRET_ACCESS_KEY")
    bucket_url = _bucket_url(region, endpoint, bucket)
    if not access_key or not secret_key or bucket_url is None:
        return None
    if any(_DECIDING.fullmatch(name) for name in environment):
        return None
    keys = Keys(access_key, secret_key, environment.get("AWS_SESSION_TOKEN") or None)
    return Presigner(keys, region, bucket_url)


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _bucket_url(region: str, endpoint: str | None, bucket: str) -> str | None:
    if endpoint is not None:
        return f"{endpoint}/{bucket}"
    if not _PLAIN_REGION.fullmatch(region) or not _PLAIN_BUCKET.fullmatch(bucket):
        return None
    host = "s3" if region == "us-east-1" else f"s3.{region}"
    return f"https://{bucket}.{host}.amazonaws.com"
