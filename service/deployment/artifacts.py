"""The bucket that CloudFormation reads packages from, each under the hash of its content.

So a changed package has another key, which updates the functions, and an equal one changes nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from service.deployment.failure import DeploymentFailed
from service.storage.clients import error_code, translated


@dataclass(frozen=True, slots=True)
class Artifacts:
    """The bucket of one account and region. It is private, and made when it is first needed."""

    s3: Any
    account: str
    region: str

    @property
    def bucket(self) -> str:
        """Its name."""
        return f"mont-artifacts-{self.account}-{self.region}"

    async def put(self, content: bytes, prefix: str, suffix: str) -> str:
        """Store content unless it is there. Returns its key.

        Raises DeploymentFailed, StoreUnavailable.
        """
        key = f"{prefix}-{hashlib.sha256(content).hexdigest()[:32]}{suffix}"
        place = {"Bucket": self.bucket, "Key": key, "ExpectedBucketOwner": self.account}
        with translated("S3"):
            await self._make_bucket()
            if not await self._has(place):
                await self.s3.put_object(**place, Body=content)
        return key

    async def _has(self, place: dict[str, str]) -> bool:
        try:
            await self.s3.head_object(**place)
        except ClientError as error:
            if error_code(error) in {"404", "NoSuchKey"}:
                return False
            raise
        return True

    async def _make_bucket(self) -> None:
        try:
            # The name can be guessed: whoever made it first could swap the code that we deploy.
            await self.s3.head_bucket(Bucket=self.bucket, ExpectedBucketOwner=self.account)
        except ClientError as error:
            if error_code(error) == "403":
                raise DeploymentFailed(
                    f"The bucket {self.bucket} is not ours to use: it belongs to another account, "
                    "or these credentials may not see it."
                ) from error
            if error_code(error) not in {"404", "NoSuchBucket"}:
                raise
            await self._create_bucket()

    async def _create_bucket(self) -> None:
        options = {}
        if self.region != "us-east-1":  # which S3 does not accept as a place
            options = {"CreateBucketConfiguration": {"LocationConstraint": self.region}}
        await self.s3.create_bucket(Bucket=self.bucket, **options)
        await self.s3.put_public_access_block(
            Bucket=self.bucket,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "IgnorePublicAcls": True,
                "BlockPublicPolicy": True,
                "RestrictPublicBuckets": True,
            },
        )
