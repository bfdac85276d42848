"""Where a store is and who asks it; and where both are plain enough to be known without the SDK.

A place is an address with the scope that signatures are made for. The SDK finds it (`sdk`), but
loading the SDK takes a Lambda function a third of its start, for an answer that is nearly always
the same. So where the environment holds what Lambda itself puts there and nothing that could have
a say (profiles, endpoints of one service, FIPS, dual-stack, proxies and the like), and where region
and bucket have names without surprises, the answer is given here. The tests hold both alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from botocore.exceptions import NoCredentialsError

_DEFAULT_PORTS = {"http": 80, "https": 443}
_PLAIN_REGION = re.compile(r"(us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-\d")
# A dot in it would not match the certificate, and the SDK would take the path's way; directory
# buckets, access points and the like have names that end in s3 or s3alias, and other addresses.
_PLAIN_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9](?<!-s3)(?<!-s3alias)")
# Lambda sets these, and the template; whatever else begins like them is for the SDK to read.
_PLAIN = frozenset(
    {
        *("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_EXECUTION_ENV"),
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    }
)
_PLAIN_BEGINNINGS = ("AWS_LAMBDA_", "AWS_XRAY_")


# Tuples, because classes are made at each start, and data classes take seven times as long to make.
class Place(NamedTuple):
    """`url` ends without a slash; `region` and `service` are the scope of signatures."""

    url: str
    region: str
    service: str

    @property
    def host(self) -> str:
        """The Host header as it is signed: lower case, without a port that goes without saying."""
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        name = f"[{host}]" if ":" in host else host
        port = parts.port
        return name if port in {None, _DEFAULT_PORTS.get(parts.scheme)} else f"{name}:{port}"

    @property
    def path(self) -> str:
        """What paths at this place begin with; empty where the host is all there is."""
        return urlsplit(self.url).path


class Keys(Protocol):
    """Credentials of one moment; `token` only with those that end."""

    @property
    def access_key(self) -> str:
        """Public."""
        ...

    @property
    def secret_key(self) -> str:
        """Never sent."""
        ...

    @property
    def token(self) -> str | None:
        """Sent and signed."""
        ...


class KeySource(Protocol):
    """Where keys come from. The SDK's credentials are one, and refresh them when they have to."""

    async def get_frozen_credentials(self) -> Keys:
        """The keys to sign with now. Raises what botocore raises."""
        ...


class FixedKeys(NamedTuple):
    """Keys that stay the same while the process lives."""

    access_key: str
    secret_key: str
    token: str | None = None

    async def get_frozen_credentials(self) -> Keys:
        """See KeySource."""
        return self


class NoKeys:
    """Nobody has any."""

    async def get_frozen_credentials(self) -> Keys:
        """Raises NoCredentialsError, as a client of the SDK does at its first call."""
        raise NoCredentialsError


def plain_keys(environment: Mapping[str, str]) -> FixedKeys | None:
    """The keys in the environment, unless something in there is for the SDK to read."""
    if any(map(_is_for_the_sdk, environment)):
        return None
    access_key = environment.get("AWS_ACCESS_KEY_ID")
    secret_key = environment.get("AWS_SECRET_ACCESS_KEY")
    if not access_key or not secret_key:
        return None
    return FixedKeys(access_key, secret_key, environment.get("AWS_SESSION_TOKEN") or None)


def _is_for_the_sdk(name: str) -> bool:
    if name in _PLAIN or name.startswith(_PLAIN_BEGINNINGS):
        return False
    upper = name.upper()
    return upper.startswith(("AWS_", "BOTO")) or upper.endswith(("_PROXY", "_CA_BUNDLE"))


def plain_bucket(region: str, endpoint: str | None, bucket: str) -> Place | None:
    """Where a bucket is, unless its names are for the SDK to judge."""
    if endpoint is not None:
        return Place(f"{endpoint}/{bucket}", region, "s3")
    if not _PLAIN_REGION.fullmatch(region) or not _PLAIN_BUCKET.fullmatch(bucket):
        return None
    host = "s3" if region == "us-east-1" else f"s3.{region}"
    return Place(f"https://{bucket}.{host}.amazonaws.com", region, "s3")


def plain_tables(region: str, endpoint: str | None) -> Place | None:
    """Where DynamoDB is, unless the region's name is for the SDK to judge."""
    if endpoint is None and not _PLAIN_REGION.fullmatch(region):
        return None
    return Place(endpoint or f"https://dynamodb.{region}.amazonaws.com", region, "dynamodb")
