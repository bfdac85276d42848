"""What moto leaves out and the service relies on, closed by replacing a few of its methods.

Each gap has a test in tests/integration/test_embedded.py that fails when moto's internals move.
Atomicity is not among them: the server handles one request at a time.
"""

import copy
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse
from weakref import WeakKeyDictionary

from moto.core.model import StructureShape
from moto.core.serialize import BaseJSONSerializer
from moto.dynamodb.exceptions import ConditionalCheckFailed
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table
from moto.s3.exceptions import PreconditionFailed
from moto.s3.responses import S3Response

from service.embedded.key_order import KNOWN_COMPARISONS, IndexKeys, KeyOrder, index_keys
from service.embedded.transactions import speed_up_transactions

_orders: WeakKeyDictionary[Table, dict[IndexKeys, KeyOrder]] = WeakKeyDictionary()


def close_gaps() -> None:
    """Replace the methods, in this process; call it once, before the first request."""
    _forget_items()
    _speed_up_query()
    speed_up_transactions()
    _speed_up_answers()
    _honour_copy_preconditions()
    _complete_form_answers()


def _forget_items() -> None:
    """Stop moto from keeping every item it ever made, each copy in an answer included.

    It tracks instances for its own inspection page; a load test would fill the memory with them.
    """

    def untracked(cls: type[Any], *args: object, **kwargs: object) -> Any:
        return object.__new__(cls)

    for model in (Item, Table):
        model.__new__ = untracked  # type: ignore[method-assign]


# --- DynamoDB: a Query that touches only the items of its answer ---------------------------------


def _speed_up_query() -> None:
    """Let moto's own Query run on a table that holds nothing but the items of its answer."""
    query, put, delete = Table.query, Table.put_item, Table.delete_item
    update = DynamoDBBackend.update_item

    def query_window(
        self: Table,
        hash_key: DynamoType | None,
        range_comparison: str | None,
        range_objs: list[DynamoType],
        limit: int | None,
        exclusive_start_key: dict[str, Any] | None,
        scan_index_forward: bool,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        search = range_comparison, range_objs, limit, exclusive_start_key, scan_index_forward
        items = _window(self, hash_key, *search, *args, **kwargs)
        table = self if items is None else _table_of(self, items)
        return query(table, hash_key, *search, *args, **kwargs)  # type: ignore[arg-type]

    def put_in_order(self: Table, *args: Any, **kwargs: Any) -> Item:
        item = put(self, *args, **kwargs)
        for order in _orders.get(self, {}).values():
            order.put(item)
        return item

    def delete_in_order(self: Table, *args: Any, **kwargs: Any) -> Item | None:
        item = delete(self, *args, **kwargs)
        if item is not None:
            for order in _orders.get(self, {}).values():
                order.remove(item)
        return item

    def update_in_order(self: DynamoDBBackend, table_name: str, *args: Any, **kwargs: Any) -> Item:
        table = self.get_table(table_name)
        try:
            item = update(self, table_name, *args, **kwargs)
        except ConditionalCheckFailed:
            raise
        except Exception:
            # moto changes the item in place and may stop half-way; put it in order from scratch.
            _orders.pop(table, None)
            raise
        for order in _orders.get(table, {}).values():
            order.put(item)
        return item

    Table.query = query_window  # type: ignore[method-assign]
    Table.put_item = put_in_order  # type: ignore[method-assign]
    Table.delete_item = delete_in_order  # type: ignore[method-assign]
    DynamoDBBackend.update_item = update_in_order  # type: ignore[method-assign]


def _window(
    table: Table,
    hash_key: DynamoType | None,
    comparison: str | None,
    values: list[DynamoType],
    limit: int | None,
    start_key: dict[str, Any] | None,
    forward: bool,
    projection: object = None,
    index_name: str | None = None,
    consistent_read: bool = False,
    filter_expression: object = None,
    hash_key_conditions: list[tuple[str, DynamoType]] | None = None,
    range_key_conditions: list[tuple[str, str, list[DynamoType]]] | None = None,
    **legacy_filters: Any,
) -> list[Item] | None:
    """Return the only items that this Query needs, or None where moto should look at them all."""
    keys = index_keys(table, index_name)
    if keys is None or hash_key is None or legacy_filters or comparison not in KNOWN_COMPARISONS:
        return None
    if [name for name, _ in hash_key_conditions or ()] != [keys.hash_attr]:
        return None
    if [name for name, *_ in range_key_conditions or ()] != (
        [keys.range_attr] if comparison is not None else []
    ):
        return None
    if start_key is not None and not set(keys.sort_attrs) <= start_key.keys():
        return None
    orders = _orders.setdefault(table, {})
    if keys not in orders:
        orders[keys] = KeyOrder(keys, _items_of(table))
    return orders[keys].window(hash_key, comparison, values, start_key, forward, limit)


def _items_of(table: Table) -> Iterator[Item]:
    # Under each hash value: the item, or where there is a range key, items by range value.
    held: Any
    for held in list(table.items.values()):
        if table.has_range_key:
            yield from held.values()
        else:
            yield held


def _table_of(table: Table, items: list[Item]) -> Table:
    held: Any = {}
    for item in items:
        if table.has_range_key:
            held.setdefault(item.hash_key, {})[item.range_key] = item
        else:
            held[item.hash_key] = item
    smaller = copy.copy(table)
    smaller.items = held
    return smaller


def _speed_up_answers() -> None:
    """Write the one member that a DynamoDB attribute value has; moto looks for all ten.

    It looks by several spellings each, which took 80% of the time of a Query.
    """
    serialize_structure = BaseJSONSerializer._serialize_type_structure

    def serialize_present_member(
        self: BaseJSONSerializer, serialized: Any, value: Any, shape: StructureShape, key: str
    ) -> None:
        if (
            shape.name != "AttributeValue"
            or not isinstance(value, dict)
            or len(value) != 1
            or not key
        ):
            serialize_structure(self, serialized, value, shape, key)
            return
        ((kind, content),) = value.items()
        member: dict[str, Any] = {}
        self._serialize(member, content, shape.members[kind], kind)
        serialized[key] = member

    BaseJSONSerializer._serialize_type_structure = (  # type: ignore[method-assign]
        serialize_present_member
    )


# --- S3: the preconditions of CopyObject ----------------------------------------------------------


def _honour_copy_preconditions() -> None:
    """Answer 412 where CopyObject's source or destination is not what the caller asked for."""
    copy_object: Callable[[S3Response], Any] = S3Response.copy_object

    def copy_object_if(self: S3Response) -> Any:
        wanted = self.headers.get("x-amz-copy-source-if-match")
        if wanted and (source := _copy_source(self)) and not _same_etag(wanted, source.etag):
            raise PreconditionFailed(failed_condition="x-amz-copy-source-If-Match")
        if self.headers.get("If-None-Match") == "*":
            key = self.parse_key_name()
            if self.backend.get_object(self.bucket_name, key) is not None:
                raise PreconditionFailed(failed_condition="If-None-Match")
        return copy_object(self)

    S3Response.copy_object = copy_object_if  # type: ignore[method-assign]


def _copy_source(response: S3Response) -> Any:
    source = urlparse(response.headers["x-amz-copy-source"])
    bucket, _, key = unquote(source.path).lstrip("/").partition("/")
    version = parse_qs(source.query).get("versionId", [None])[0]
    return response.backend.get_object(bucket, key, version_id=version)


def _same_etag(one: str, other: str) -> bool:
    return one.strip('"') == other.strip('"')


# --- S3: what a browser learns from its upload ----------------------------------------------------


def _complete_form_answers() -> None:
    """Give the answer to a form upload its ETag and the CORS headers of the bucket."""
    post = S3Response._bucket_response_post

    def post_with_headers(self: S3Response, request: Any, bucket_name: str) -> Any:
        answer = post(self, request, bucket_name)
        uploaded = self.querystring.get("key")
        if uploaded and (key := self.backend.get_object(bucket_name, uploaded[0])) is not None:
            status, headers, body = answer
            return status, {**headers, **self._get_cors_headers_other(), "ETag": key.etag}, body
        return answer

    S3Response._bucket_response_post = post_with_headers  # type: ignore[method-assign]
