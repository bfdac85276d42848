"""DynamoDB's tables and indexes in memory, each call charged in DynamoDB's units."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from service.storage.definitions import IndexDefinition, TableDefinition
from tests.load.simulated import expressions
from tests.load.simulated.capacity import (
    STORAGE_OVERHEAD,
    index_write_units,
    read_units,
    size_of,
    write_units,
)
from tests.load.simulated.expressions import Item, Names

_MOST_BYTES = 1024 * 1024
_BEHIND_ALL = "\U0010ffff"

Entry = tuple[str, str]  # value of the range key, value of the table's key


@dataclass(slots=True)
class Charge:
    """Units of one call, and how many rows it evaluated."""

    read: float = 0.0
    write: float = 0.0
    rows: int = 0


class ConditionFailed(Exception):
    """A condition did not hold; `item` is what was there."""

    def __init__(self, item: Item | None) -> None:
        super().__init__("The conditional request failed")
        self.item = item


@dataclass(slots=True)
class _Index:
    definition: IndexDefinition
    partitions: dict[str, list[Entry]] = field(default_factory=dict)

    def holds(self, item: Item | None, table_key: str) -> Item | None:
        """What the index has of an item: nothing where a key attribute is missing."""
        key = self.definition.key.attributes
        if item is None or any(name not in item for name in key):
            return None
        if self.definition.projection == "ALL":
            return item
        return {name: item[name] for name in (table_key, *key)}

    def place(self, item: Item, table_key: str) -> tuple[str, Entry]:
        """The partition of an item, and its entry in there."""
        key = self.definition.key
        assert key.range_key is not None
        entry = (_text(item[key.range_key]), _text(item[table_key]))
        return _text(item[key.hash_key]), entry


class Table:
    """One table with its indexes. Items are kept as bytes: a million of them fit in a gigabyte."""

    def __init__(self, definition: TableDefinition) -> None:
        self._key = definition.key.hash_key
        self._items: dict[str, bytes] = {}
        self._indexes = {each.name: _Index(each) for each in definition.indexes}
        self.stored_bytes = 0

    def __len__(self) -> int:
        return len(self._items)

    def fill(self, items: Iterable[Item]) -> None:
        """Add new items, uncharged."""
        for item in items:
            self._items[_text(item[self._key])] = orjson.dumps(item)
            self._count_storage(item, +1)
            for index in self._indexes.values():
                if index.holds(item, self._key) is not None:
                    partition, entry = index.place(item, self._key)
                    index.partitions.setdefault(partition, []).append(entry)
        for index in self._indexes.values():
            for entries in index.partitions.values():
                entries.sort()

    def get(self, call: Mapping[str, Any], charge: Charge) -> dict[str, Any]:
        """GetItem."""
        item = self._find(call["Key"])
        size = size_of(item) if item else 0
        charge.read += read_units(size, consistent=call.get("ConsistentRead", False))
        charge.rows += 1
        return {"Item": item} if item else {}

    def get_many(self, call: Mapping[str, Any], charge: Charge) -> list[Item]:
        """The part of BatchGetItem that is about this table."""
        found = [
            self.get({"Key": key, "ConsistentRead": call.get("ConsistentRead", False)}, charge)
            for key in call["Keys"]
        ]
        return [each["Item"] for each in found if each]

    def put(self, call: Mapping[str, Any], charge: Charge) -> dict[str, Any]:
        """PutItem."""
        before = self._find(call["Item"])
        self._check(call, before, charge)
        self._write(before, call["Item"], charge)
        return self._returned(call, before, call["Item"])

    def update(self, call: Mapping[str, Any], charge: Charge) -> dict[str, Any]:
        """UpdateItem."""
        before = self._find(call["Key"])
        self._check(call, before, charge)
        expression = call["UpdateExpression"]
        after = expressions.updated(expression, _names(call), before or dict(call["Key"]))
        self._write(before, after, charge)
        return self._returned(call, before, after)

    def delete(self, call: Mapping[str, Any], charge: Charge) -> dict[str, Any]:
        """DeleteItem."""
        before = self._find(call["Key"])
        self._check(call, before, charge)
        self._write(before, None, charge)
        return self._returned(call, before, None)

    def query(self, call: Mapping[str, Any], charge: Charge) -> dict[str, Any]:
        """Query of an index."""
        names = _names(call)
        index = self._indexes[call["IndexName"]]
        key = index.definition.key
        assert key.range_key is not None
        hash_name, hash_value, range_name, least, most = expressions.key_range(
            call["KeyConditionExpression"], names
        )
        if hash_name != key.hash_key or range_name not in {"", key.range_key}:
            raise expressions.ExpressionUnknown(call["KeyConditionExpression"])
        entries = index.partitions.get(_text(hash_value), [])
        start = bisect_left(entries, (_text(least), "")) if least else 0
        stop = bisect_right(entries, (_text(most), _BEHIND_ALL)) if most else len(entries)
        forward = call.get("ScanIndexForward", True)
        if last := call.get("ExclusiveStartKey"):
            _, entry = index.place(last, self._key)
            if forward:
                start = max(start, bisect_right(entries, entry))
            else:
                stop = min(stop, bisect_left(entries, entry))
        places = range(start, stop) if forward else range(stop - 1, start - 1, -1)
        test = (
            expressions.condition(call["FilterExpression"], names)
            if ("FilterExpression" in call)
            else None
        )
        items: list[Item] = []
        size = rows = 0
        answer: dict[str, Any] = {}
        for place in places:
            item = index.holds(orjson.loads(self._items[entries[place][1]]), self._key)
            assert item is not None
            size += size_of(item)
            rows += 1
            if test is None or test(item):
                items.append(item)
            if rows == call.get("Limit") or size >= _MOST_BYTES:
                answer["LastEvaluatedKey"] = {
                    name: item[name] for name in (self._key, *key.attributes)
                }
                break
        charge.read += read_units(size, consistent=False)
        charge.rows += rows
        return {"Items": items, "Count": len(items), "ScannedCount": rows, **answer}

    def holds(self, call: Mapping[str, Any], charge: Charge) -> bool:
        """Whether a write's condition holds, as the first half of a transaction asks."""
        before = self._find(call.get("Key") or call["Item"])
        try:
            self._check(call, before, charge)
        except ConditionFailed:
            return False
        return True

    def _find(self, key: Mapping[str, Any]) -> Item | None:
        kept = self._items.get(_text(key[self._key]))
        return None if kept is None else orjson.loads(kept)

    def _check(self, call: Mapping[str, Any], before: Item | None, charge: Charge) -> None:
        """A condition that fails is charged as a write of what is there."""
        text = call.get("ConditionExpression")
        if text is not None and not expressions.condition(text, _names(call))(before or {}):
            charge.write += write_units(size_of(before) if before else 0)
            raise ConditionFailed(before)

    def _write(self, before: Item | None, after: Item | None, charge: Charge) -> None:
        charge.write += write_units(max(size_of(each) if each else 0 for each in (before, after)))
        for index in self._indexes.values():
            held = [index.holds(each, self._key) for each in (before, after)]
            key = index.definition.key.attributes
            charge.write += index_write_units(held[0], held[1], key)
            if before is not None and held[0] is not None:
                partition, entry = index.place(before, self._key)
                entries = index.partitions[partition]
                del entries[bisect_left(entries, entry)]
            if after is not None and held[1] is not None:
                partition, entry = index.place(after, self._key)
                insort(index.partitions.setdefault(partition, []), entry)
        if before is not None:
            self._count_storage(before, -1)
            del self._items[_text(before[self._key])]
        if after is not None:
            self._count_storage(after, +1)
            self._items[_text(after[self._key])] = orjson.dumps(after)

    def _count_storage(self, item: Item, sign: int) -> None:
        held = [index.holds(item, self._key) for index in self._indexes.values()]
        for each in (item, *held):
            if each is not None:
                self.stored_bytes += sign * (size_of(each) + STORAGE_OVERHEAD)

    def _returned(
        self, call: Mapping[str, Any], before: Item | None, after: Item | None
    ) -> dict[str, Any]:
        shown = {"ALL_OLD": before, "ALL_NEW": after}.get(call.get("ReturnValues", "NONE"))
        return {"Attributes": shown} if shown else {}


def _names(call: Mapping[str, Any]) -> Names:
    return Names(
        call.get("ExpressionAttributeNames", {}), call.get("ExpressionAttributeValues", {})
    )


def _text(value: Mapping[str, Any]) -> str:
    """A key's value. All keys of the service are texts, but for shard numbers, which hash."""
    ((_, content),) = value.items()
    return str(content)
