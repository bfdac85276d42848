"""The simulated stores charge what AWS documents, so that growth and costs can be believed."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from service.settings import Settings
from service.storage.items import to_item
from tests.load.growth import filled, image
from tests.load.simulated.capacity import (
    index_write_units,
    read_units,
    size_of,
    write_units,
)
from tests.load.simulated.expressions import ExpressionUnknown, Names, condition, updated
from tests.load.simulated.stores import SimulatedStores

SETTINGS = Settings()
IMAGES, USAGE = SETTINGS.dynamodb_table_name, SETTINGS.usage_table_name


def asked(stores: SimulatedStores, operation: str, **call: Any) -> dict[str, Any]:
    head = f"POST / HTTP/1.1\r\nX-Amz-Target: DynamoDB_20120810.{operation}\r\n\r\n".encode()
    answer = stores.answer(head, orjson.dumps(call)).partition(b"\r\n\r\n")[2]
    document: dict[str, Any] = orjson.loads(answer)
    return document


def key(number: int) -> dict[str, Any]:
    return {"image_id": {"S": image(number).image_id}}


# Sizes and units.


@pytest.mark.parametrize(
    ("item", "size"),
    [
        ({"id": {"S": "abc"}}, 5),
        ({"id": {"S": "ä"}}, 4),
        ({"n": {"N": "0"}}, 2),
        ({"n": {"N": "1200"}}, 3),
        ({"n": {"N": "-123"}}, 5),
        ({"t": {"BOOL": True}}, 2),
        ({"l": {"L": []}}, 4),
        ({"l": {"L": [{"S": "ab"}, {"S": "c"}]}}, 9),
    ],
)
def test_an_item_is_as_large_as_its_names_and_values(item: dict[str, Any], size: int) -> None:
    assert size_of(item) == size


def test_units_are_whole_blocks_and_eventual_reads_half_of_them() -> None:
    assert [write_units(size) for size in (0, 1, 1024, 1025)] == [1, 1, 1, 2]
    assert [read_units(size, consistent=True) for size in (0, 4096, 4097)] == [1, 1, 2]
    assert read_units(4097, consistent=False) == 1.0


def test_an_index_is_charged_for_what_changes_in_it() -> None:
    entry = {"id": {"S": "a"}, "at": {"S": "1"}, "text": {"S": "x"}}
    keys = ("id", "at")
    assert index_write_units(None, entry, keys) == 1
    assert index_write_units(entry, None, keys) == 1
    assert index_write_units(entry, entry, keys) == 0
    assert index_write_units(None, None, keys) == 0
    assert index_write_units(entry, {**entry, "text": {"S": "y"}}, keys) == 1
    # Another key is another place: one entry goes, one comes.
    assert index_write_units(entry, {**entry, "at": {"S": "2"}}, keys) == 2
    assert index_write_units(entry, {**entry, "text": {"S": "y" * 1500}}, keys) == 2


# Calls.


def test_a_new_record_is_charged_once_for_the_table_and_once_for_each_list() -> None:
    stores = SimulatedStores(SETTINGS)
    asked(stores, "PutItem", TableName=IMAGES, Item=to_item(image(0)))
    assert stores.take_bill().dynamodb.write == 3
    assert asked(stores, "GetItem", TableName=IMAGES, Key=key(0))["Item"] == to_item(image(0))
    assert stores.take_bill().dynamodb.read == 0.5
    asked(stores, "GetItem", TableName=IMAGES, Key=key(0), ConsistentRead=True)
    assert stores.take_bill().dynamodb.read == 1


def test_a_condition_that_fails_changes_nothing_and_is_charged() -> None:
    stores = filled(SETTINGS, 1)
    answer = asked(
        stores,
        "PutItem",
        TableName=IMAGES,
        Item=to_item(image(0)) | {"filename": {"S": "other"}},
        ConditionExpression="attribute_not_exists(image_id)",
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )
    assert answer["__type"].endswith("ConditionalCheckFailedException")
    assert answer["Item"] == to_item(image(0))
    assert stores.take_bill().dynamodb.write == 1


def test_a_query_is_charged_for_what_it_evaluates_and_not_for_what_passes_its_filter() -> None:
    stores = filled(SETTINGS, 200)
    query = {
        "TableName": IMAGES,
        "IndexName": SETTINGS.dynamodb_gsi_name,
        "KeyConditionExpression": "user_id = :user AND upload_timestamp BETWEEN :a AND :z",
        "ExpressionAttributeValues": {
            ":user": {"S": "ann"},
            ":a": {"S": "0"},
            ":z": {"S": "9"},
            ":tag": {"S": "sunset"},
        },
        "ScanIndexForward": False,
        "Limit": 60,
    }
    whole = asked(stores, "Query", **query)
    unfiltered = stores.take_bill().dynamodb
    some = asked(stores, "Query", **query, FilterExpression="contains(tags, :tag)")
    assert len(whole["Items"]) == 60 > len(some["Items"]) > 0
    assert stores.take_bill().dynamodb == unfiltered
    bytes_read = sum(size_of(item) for item in whole["Items"])
    assert unfiltered.read == read_units(bytes_read, consistent=False)


@pytest.mark.parametrize("forward", [True, False])
def test_pages_give_every_row_once_and_in_order(forward: bool) -> None:
    stores = filled(SETTINGS, 100)
    query = {
        "TableName": IMAGES,
        "IndexName": SETTINGS.dynamodb_gsi_name,
        "KeyConditionExpression": "user_id = :user",
        "ExpressionAttributeValues": {":user": {"S": "ann"}},
        "ScanIndexForward": forward,
        "Limit": 7,
    }
    times: list[str] = []
    more: dict[str, Any] = {}
    while True:
        page = asked(stores, "Query", **query, **more)
        times += [item["upload_timestamp"]["S"] for item in page["Items"]]
        if "LastEvaluatedKey" not in page:
            break
        more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert times == sorted(set(times), reverse=not forward)
    assert len(times) == 80


def test_a_transaction_costs_twice_and_happens_as_a_whole_or_not_at_all() -> None:
    stores = filled(SETTINGS, 1)
    usage = {
        "TableName": USAGE,
        "Key": {"counter": {"S": "storage#ann"}},
        "UpdateExpression": "ADD used_bytes :bytes, used_images :one",
        "ExpressionAttributeValues": {":bytes": {"N": "5"}, ":one": {"N": "1"}},
    }

    def put(number: int) -> dict[str, Any]:
        item, absent = to_item(image(number)), "attribute_not_exists(image_id)"
        return {"Put": {"TableName": IMAGES, "Item": item, "ConditionExpression": absent}}

    refused = asked(stores, "TransactWriteItems", TransactItems=[put(0), {"Update": usage}])
    codes = [reason["Code"] for reason in refused["CancellationReasons"]]
    assert codes == ["ConditionalCheckFailed", "None"]
    assert asked(stores, "GetItem", TableName=USAGE, Key=usage["Key"]) == {}
    stores.take_bill()
    assert asked(stores, "TransactWriteItems", TransactItems=[put(1), {"Update": usage}]) == {}
    # Table and both lists for the record, the table alone for the usage.
    assert stores.take_bill().dynamodb.write == 2 * (3 + 1)
    counted = asked(stores, "GetItem", TableName=USAGE, Key=usage["Key"])["Item"]
    assert (counted["used_bytes"], counted["used_images"]) == ({"N": "5"}, {"N": "1"})


# Expressions.

NAMES = Names(
    {"#s": "status"},
    {":a": {"S": "a"}, ":b": {"S": "b"}, ":one": {"N": "1"}, ":ten": {"N": "10"}},
)
ITEM = {"status": {"S": "a"}, "count": {"N": "9"}, "tags": {"L": [{"S": "b"}]}}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("#s = :a", True),
        ("#s = :b OR count < :ten AND contains(tags, :b)", True),
        ("(#s = :b OR count < :ten) AND #s <> :a", False),
        ("attribute_not_exists(gone) AND attribute_exists(tags)", True),
        ("NOT count BETWEEN :one AND :ten", False),
        ("gone = :a", False),
        ("count >= :ten", False),
    ],
)
def test_conditions_mean_what_dynamodb_means(text: str, holds: bool) -> None:
    assert condition(text, NAMES)(ITEM) is holds


def test_updates_set_add_and_remove() -> None:
    text = "SET #s = :b, old = #s, count = count + :one REMOVE tags ADD total :ten"
    assert updated(text, NAMES, ITEM) == {
        "status": {"S": "b"},
        "old": {"S": "a"},
        "count": {"N": "10"},
        "total": {"N": "10"},
    }


@pytest.mark.parametrize("text", ["size(tags) > :one", "#s = ", "#s LIKE :a", "#s = :a )"])
def test_what_it_does_not_know_it_refuses(text: str) -> None:
    with pytest.raises((ExpressionUnknown, KeyError)):
        condition(text, NAMES)(ITEM)
