"""What a bucket and a table of this service are, apart from any template language or AWS call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

KeyType = Literal["S", "N", "B"]
Projection = Literal["ALL", "KEYS_ONLY"]


@dataclass(frozen=True, slots=True)
class CorsRule:
    """What scripts of other origins may do with the bucket. `max_age` in seconds."""

    rule_id: str
    methods: tuple[str, ...]
    origins: tuple[str, ...]
    headers: tuple[str, ...]
    exposed_headers: tuple[str, ...]
    max_age: int


@dataclass(frozen=True, slots=True)
class LifecycleRule:
    """What S3 removes by itself under `prefix` ("" is the whole bucket), after how many days."""

    rule_id: str
    prefix: str
    expire_after: int | None
    abort_uploads_after: int | None


@dataclass(frozen=True, slots=True)
class PublicAccessBlock:
    """The four locks of S3 Block Public Access, on or off."""

    block_acls: bool
    block_policy: bool
    ignore_acls: bool
    restrict_buckets: bool


@dataclass(frozen=True, slots=True)
class BucketDefinition:
    """The image bucket. `policy` is a JSON document, or None where there is none."""

    name: str
    cors: tuple[CorsRule, ...]
    lifecycle: tuple[LifecycleRule, ...]
    public_access_block: PublicAccessBlock
    encryption: str
    object_ownership: str
    policy: str | None


@dataclass(frozen=True, slots=True)
class KeySchema:
    """The attributes that find an item: one to hash by and, if any, one to sort by."""

    hash_key: str
    range_key: str | None = None

    @property
    def attributes(self) -> tuple[str, ...]:
        """Their names, the hash key first."""
        return (self.hash_key,) if self.range_key is None else (self.hash_key, self.range_key)


@dataclass(frozen=True, slots=True)
class IndexDefinition:
    """A global secondary index."""

    name: str
    key: KeySchema
    projection: Projection


@dataclass(frozen=True, slots=True)
class TableDefinition:
    """An on-demand table. `attributes` holds the type of every attribute that is part of a key.

    `expiry_attribute` says when an item may go, in seconds since 1970; None where items stay.
    `streamed` tables tell of each change, with the item before and after.
    """

    name: str
    key: KeySchema
    attributes: Mapping[str, KeyType]
    indexes: tuple[IndexDefinition, ...]
    point_in_time_recovery: bool
    deletion_protection: bool
    expiry_attribute: str | None = None
    streamed: bool = False


@dataclass(frozen=True, slots=True)
class StoreDefinitions:
    """Everything that the template declares."""

    bucket: BucketDefinition
    tables: tuple[TableDefinition, ...]
