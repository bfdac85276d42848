"""Both simulated stores at one address, with what they charged."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from service.provisioning import data_parameters
from service.settings import Settings
from service.storage.template import load_template, template_path
from tests.load import wire
from tests.load.simulated.dynamodb import Charge, ConditionFailed, Table
from tests.load.simulated.s3 import Bucket, Requests

_PREFIX = "DynamoDB_20120810."


@dataclass(slots=True)
class Bill:
    """What both stores charged since it was last taken, and the bytes that they sent."""

    dynamodb: Charge = field(default_factory=Charge)
    s3: Requests = field(default_factory=Requests)
    calls: list[str] = field(default_factory=list)
    sent_bytes: int = 0

    def document(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


class SimulatedStores:
    """The tables and the bucket that the settings name."""

    def __init__(self, settings: Settings) -> None:
        definitions = load_template(template_path(), data_parameters(settings))
        self._tables = {each.name: Table(each) for each in definitions.tables}
        self.images = self._tables[settings.dynamodb_table_name]
        self.bucket = Bucket()
        self._bill = Bill()

    def take_bill(self) -> Bill:
        """What was charged since the last time."""
        bill, self._bill = self._bill, Bill()
        return bill

    async def listen(self, port: int = 0) -> asyncio.Server:
        """Answer at this port of this machine."""
        return await wire.listen(self.answer, port)

    def answer(self, head: bytes, body: bytes) -> bytes:
        """See `wire.Answer`."""
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines) if k}
        operation = headers.get("x-amz-target", "")
        if operation.startswith(_PREFIX):
            name = operation.removeprefix(_PREFIX)
            self._bill.calls.append(name)
            answer = self._dynamodb(name, orjson.loads(body))
        else:
            self._bill.calls.append(f"{method} {target.partition('?')[2]}".strip())
            answer = self.bucket.answer(method, target, headers, body, self._bill.s3)
        self._bill.sent_bytes += len(answer)
        return answer

    def _dynamodb(self, name: str, call: Mapping[str, Any]) -> bytes:
        charge = self._bill.dynamodb
        if name == "BatchGetItem":
            asked = call["RequestItems"]
            found = {n: self._tables[n].get_many(each, charge) for n, each in asked.items()}
            return _json("200 OK", {"Responses": found, "UnprocessedKeys": {}})
        if name == "TransactWriteItems":
            return self._transaction(
                [each for item in call["TransactItems"] for each in item.items()]
            )
        table = self._tables[call["TableName"]]
        operations: dict[str, Callable[[Mapping[str, Any], Charge], dict[str, Any]]] = {
            "GetItem": table.get,
            "PutItem": table.put,
            "UpdateItem": table.update,
            "DeleteItem": table.delete,
            "Query": table.query,
        }
        try:
            return _json("200 OK", operations[name](call, charge))
        except ConditionFailed as failure:
            document: dict[str, Any] = {
                "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
                "message": str(failure),
            }
            if failure.item and "ReturnValuesOnConditionCheckFailure" in call:
                document["Item"] = failure.item
            return _json("400 Bad Request", document)

    def _transaction(self, writes: list[tuple[str, Mapping[str, Any]]]) -> bytes:
        """All or nothing, at twice the units: one half prepares, the other commits."""
        charge = Charge()
        holding = [self._tables[call["TableName"]].holds(call, charge) for _, call in writes]
        if not all(holding):
            self._bill.dynamodb.write += 2 * charge.write
            codes = [{"Code": "None" if each else "ConditionalCheckFailed"} for each in holding]
            document = {
                "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
                "message": "Transaction cancelled",
                "CancellationReasons": codes,
            }
            return _json("400 Bad Request", document)
        for kind, call in writes:
            table = self._tables[call["TableName"]]
            {"Put": table.put, "Update": table.update, "Delete": table.delete}[kind](call, charge)
        self._bill.dynamodb.write += 2 * charge.write
        return _json("200 OK", {})


def _json(status: str, document: Mapping[str, Any]) -> bytes:
    text = orjson.dumps(document)
    return wire.made(
        status,
        text,
        "Content-Type: application/x-amz-json-1.0",
        f"x-amz-crc32: {zlib.crc32(text)}",
    )
