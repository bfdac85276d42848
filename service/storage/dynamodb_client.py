"""DynamoDB's calls as a client of the SDK offers them, without the SDK's way of making them.

The protocol is JSON, and its documents are the client's keyword arguments and answers one to one.
So an answer is what was sent: times stay numbers, and members that a younger DynamoDB adds are
there too. Binary values travel in base64 and are bytes on this side.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.LowLevelAPI.html
"""

from __future__ import annotations

import base64
import hashlib
import re
import uuid
from binascii import crc32
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from botocore.exceptions import ClientError

from service.storage.calls import Answer, Call, Caller, DamagedAnswer, metadata, reason

if TYPE_CHECKING:
    from service.storage.transport import Reply

T = TypeVar("T")

_TARGET = "DynamoDB_20120810"
_TYPE = "application/x-amz-json-1.0"
_REQUEST_ID = "x-amzn-requestid"
_BINARY = re.compile(rb'"BS?"')


class DynamoDBClient:
    """The calls that the service makes. Each raises what a client of the SDK raises."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    # The names and keywords are the SDK's own.
    async def get_item(self, **arguments: Any) -> Answer:
        """GetItem."""
        return await self._call("GetItem", arguments)

    async def put_item(self, **arguments: Any) -> Answer:
        """PutItem."""
        return await self._call("PutItem", arguments)

    async def update_item(self, **arguments: Any) -> Answer:
        """UpdateItem."""
        return await self._call("UpdateItem", arguments)

    async def delete_item(self, **arguments: Any) -> Answer:
        """DeleteItem."""
        return await self._call("DeleteItem", arguments)

    async def query(self, **arguments: Any) -> Answer:
        """Query."""
        return await self._call("Query", arguments)

    async def query_with(self, read: Callable[[bytes], T], **arguments: Any) -> T:
        """Query, and what `read` makes of the document that answers it, still in JSON.

        Binary values are for `read` to decode. It raises DamagedAnswer where there is no document.
        """

        def read_whole(operation: str, reply: Reply) -> Answer:
            made = read(_document(operation, reply))
            return {"Made": made, "ResponseMetadata": metadata(reply, _REQUEST_ID)}

        made: T = (await self._call("Query", arguments, read_whole))["Made"]
        return made

    async def scan(self, **arguments: Any) -> Answer:
        """Scan."""
        return await self._call("Scan", arguments)

    async def batch_get_item(self, **arguments: Any) -> Answer:
        """BatchGetItem."""
        return await self._call("BatchGetItem", arguments)

    async def batch_write_item(self, **arguments: Any) -> Answer:
        """BatchWriteItem."""
        return await self._call("BatchWriteItem", arguments)

    async def transact_write_items(self, **arguments: Any) -> Answer:
        """TransactWriteItems. Without a token of the caller's, one makes its attempts the same."""
        arguments.setdefault("ClientRequestToken", str(uuid.uuid4()))
        return await self._call("TransactWriteItems", arguments)

    async def describe_table(self, **arguments: Any) -> Answer:
        """DescribeTable."""
        return await self._call("DescribeTable", arguments)

    async def _call(
        self,
        operation: str,
        arguments: dict[str, Any],
        read: Callable[[str, Reply], Answer] | None = None,
    ) -> Answer:
        body = orjson.dumps(arguments, default=_encoded)
        headers = {"content-type": _TYPE, "x-amz-target": f"{_TARGET}.{operation}"}
        digest = hashlib.sha256(body).hexdigest()
        return await self._caller.make(
            Call(operation, "POST", "/", "", headers, body, digest, read or read_answer)
        )


def _encoded(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    raise TypeError(f"DynamoDB takes no {type(value).__name__}")


def read_answer(operation: str, reply: Reply) -> Answer:
    """The document of an answer. Raises ClientError for a refusal, DamagedAnswer."""
    body = _document(operation, reply)
    try:
        answer: Answer = orjson.loads(body) if body else {}
    except orjson.JSONDecodeError as error:
        raise DamagedAnswer(error=error) from error
    # The first look takes next to nothing, and in long lists of images often does.
    if b"B" in body and _BINARY.search(body):
        answer = _decoded(answer)
    answer["ResponseMetadata"] = metadata(reply, _REQUEST_ID)
    return answer


def _document(operation: str, reply: Reply) -> bytes:
    """The bytes of an answer as they were sent. Raises ClientError for a refusal, DamagedAnswer."""
    body = reply.body
    checksum = reply.headers.get("x-amz-crc32")
    if checksum is not None and checksum != str(crc32(body)):
        raise DamagedAnswer(error=f"CRC32 is {crc32(body)} where {checksum} was sent")
    if reply.status >= 300:
        raise _refusal(operation, reply)
    return body


def _decoded(value: Any) -> Any:
    """The same with binary values as bytes.

    Only an attribute's value is an object with nothing but a text called `B`: an attribute of that
    name has an object for its value.
    """
    if isinstance(value, dict):
        if len(value) == 1:
            ((kind, inner),) = value.items()
            if kind == "B" and isinstance(inner, str):
                return {"B": base64.b64decode(inner)}
            if kind == "BS" and isinstance(inner, list):
                return {"BS": [base64.b64decode(each) for each in inner]}
        return {name: _decoded(inner) for name, inner in value.items()}
    return [_decoded(inner) for inner in value] if isinstance(value, list) else value


def _refusal(operation: str, reply: Reply) -> ClientError:
    """What the SDK makes of an error document: `Item` and the like stand beside `Error`."""
    try:
        document = _decoded(orjson.loads(reply.body))
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):  # from whatever stands in front of DynamoDB
        page = reply.body.decode(errors="replace")
        document = {"message": reason(reply.status) if reply.status >= 500 else page}
    code = str(document.pop("__type", reply.status)).partition(":")[0].rpartition("#")[2]
    message = document.get("message", document.pop("Message", ""))
    error = {"Code": code, "Message": message}
    response = {**document, "Error": error, "ResponseMetadata": metadata(reply, _REQUEST_ID)}
    return ClientError(response, operation)
