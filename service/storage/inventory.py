"""What is in the bucket and in the table, batch by batch. For administration, never for a request.

Only here is a table of images scanned. Nothing is kept between two calls, so memory stays the same
however much there is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

from botocore.exceptions import ClientError

from service import timestamps
from service.model import DELETING, PENDING, Batch, ObjectEntry, RecordEntry
from service.naming import FINAL_PREFIX
from service.storage.clients import error_code, translated
from service.storage.dynamodb import DELETING_INDEX
from service.storage.graves import buried
from service.storage.items import STATUSES, TIMELINE_SHARDS, Item, timeline_shard, to_item
from service.storage.transactions import CONDITION_FAILED, unhindered

_FIELDS = (
    "image_id, user_id, #status, s3_key, etag, "
    "claimed_at, upload_timestamp, completed_at, deleting_since"
)


class S3ObjectInventory:
    """`ports.ObjectInventory` of one bucket."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    async def final_objects(self, after: str | None, limit: int) -> Batch[ObjectEntry]:
        """See `ports.ObjectInventory`."""
        start = {} if after is None else {"StartAfter": after}
        with translated("S3"):
            answer = await self._client.list_objects_v2(
                Bucket=self._bucket, Prefix=FINAL_PREFIX, MaxKeys=limit, **start
            )
        entries = tuple(
            ObjectEntry(
                key=each["Key"],
                etag=each["ETag"].strip('"'),
                size=each["Size"],
                modified=timestamps.to_text(each["LastModified"]),
            )
            for each in answer.get("Contents", ())
        )
        return Batch(entries, entries[-1].key if answer["IsTruncated"] else None)


class DynamoDBRecordInventory:
    """`ports.RecordInventory` of one table."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    async def all_records(self, after: str | None, limit: int) -> Batch[RecordEntry]:
        """See `ports.RecordInventory`."""
        start = {} if after is None else {"ExclusiveStartKey": {"image_id": {"S": after}}}
        with translated("DynamoDB"):
            answer = await self._client.scan(
                TableName=self._table,
                Limit=limit,
                ProjectionExpression=_FIELDS,
                ExpressionAttributeNames={"#status": "status"},
                **start,
            )
        last = answer.get("LastEvaluatedKey")
        entries = tuple(_entry(item) for item in answer["Items"])
        return Batch(entries, last["image_id"]["S"] if last else None)

    async def deletions(self, after: str | None, before: str, limit: int) -> Batch[str]:
        """See `ports.RecordInventory`. One shard a call; where to resume is `shard since id`."""
        shard, _, position = (after or "0").partition(" ")
        with translated("DynamoDB"):
            answer = await self._client.query(
                TableName=self._table,
                IndexName=DELETING_INDEX,
                KeyConditionExpression="deleting_shard = :shard AND deleting_since < :before",
                ExpressionAttributeValues={":shard": {"N": shard}, ":before": {"S": before}},
                Limit=limit,
                **({"ExclusiveStartKey": _index_key(shard, position)} if position else {}),
            )
        ids = tuple(item["image_id"]["S"] for item in answer["Items"])
        last = answer.get("LastEvaluatedKey")
        if last:
            return Batch(ids, f"{shard} {last['deleting_since']['S']} {last['image_id']['S']}")
        following = int(shard) + 1
        return Batch(ids, str(following) if following < TIMELINE_SHARDS else None)

    async def bury(self, stray: ObjectEntry, image_id: str, user_id: str, since: str) -> bool:
        """See `ports.RecordInventory`."""
        with translated("DynamoDB"):
            try:
                await unhindered(
                    lambda: self._client.put_item(
                        TableName=self._table,
                        Item=_grave(stray, image_id, user_id, since),
                        ConditionExpression="attribute_not_exists(image_id)",
                    )
                )
            except ClientError as error:
                if error_code(error) != CONDITION_FAILED:
                    raise
                return False
        return True


def _entry(item: Item) -> RecordEntry:
    status = STATUSES[item["status"]["S"]]
    since = {PENDING: "claimed_at", DELETING: "deleting_since"}.get(status, "upload_timestamp")
    return RecordEntry(
        image_id=item["image_id"]["S"],
        user_id=item["user_id"]["S"],
        status=status,
        s3_key=item["s3_key"]["S"],
        etag=item["etag"]["S"],
        since=item[since]["S"],
    )


def _index_key(shard: str, position: str) -> Item:
    since, _, image_id = position.partition(" ")
    return {
        "deleting_shard": {"N": shard},
        "deleting_since": {"S": since},
        "image_id": {"S": image_id},
    }


def _grave(stray: ObjectEntry, image_id: str, user_id: str, since: str) -> Item:
    """The item of a deletion under way. It was never an image, so nothing is counted for it."""
    image = buried(stray, image_id, user_id)
    return {
        **to_item(replace(image, status=PENDING)),
        "status": {"S": DELETING},
        "deleting_since": {"S": since},
        "deleting_mark": {"S": uuid4().hex},
        "deleting_shard": {"N": str(timeline_shard(image_id))},
    }
