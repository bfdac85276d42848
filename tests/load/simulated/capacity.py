"""What DynamoDB charges: sizes of items, and the units that reads and writes take.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html
"""

from __future__ import annotations

from math import ceil

from tests.load.simulated.expressions import Item, Value

READ_BLOCK, WRITE_BLOCK = 4096, 1024
STORAGE_OVERHEAD = 100
"""Bytes that each item takes beyond its own, in the table and in each index that it is in."""


def size_of(item: Item) -> int:
    """The size of an item in bytes."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def read_units(size: int, *, consistent: bool) -> float:
    """Units of reading so many bytes; a read of nothing is charged too."""
    blocks = max(1, ceil(size / READ_BLOCK))
    return float(blocks) if consistent else blocks / 2


def write_units(size: int) -> int:
    """Units of writing an item of so many bytes."""
    return max(1, ceil(size / WRITE_BLOCK))


def index_write_units(before: Item | None, after: Item | None, key: tuple[str, ...]) -> int:
    """Units of keeping up an index; both sides are what the index holds of the item, or None.

    An entry whose key changes is deleted and put.
    """
    if before == after:
        return 0
    if before is None or after is None:
        return write_units(size_of(after or before or {}))
    if any(before[name] != after[name] for name in key):
        return write_units(size_of(before)) + write_units(size_of(after))
    return write_units(max(size_of(before), size_of(after)))


def _value_size(value: Value) -> int:
    ((kind, content),) = value.items()
    if kind == "S":
        return len(content.encode())
    if kind == "N":
        digits = content.lstrip("-").replace(".", "").strip("0")
        return ceil(len(digits) / 2) + 1 + content.startswith("-")
    if kind in {"BOOL", "NULL"}:
        return 1
    if kind == "L":
        return 3 + sum(1 + _value_size(each) for each in content)
    raise ValueError(f"no rule for the size of {kind}")
