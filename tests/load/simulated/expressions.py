"""DynamoDB's expressions, as far as the service uses them. What is not known is refused loudly.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

Value = dict[str, Any]
Item = dict[str, Value]
Test = Callable[[Item], bool]

_TOKEN = re.compile(r"\s*(<>|<=|>=|[()=<>,+-]|[#:]?[A-Za-z_][A-Za-z0-9_]*)")
_WORDS = {"AND", "OR", "NOT", "BETWEEN", "SET", "REMOVE", "ADD", "DELETE"}
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


class ExpressionUnknown(Exception):
    """An expression that this store cannot read."""


@dataclass(frozen=True, slots=True)
class Names:
    """What stands for what in an expression."""

    names: Mapping[str, str]
    values: Mapping[str, Value]


def condition(text: str, names: Names) -> Test:
    """The test that a condition or filter expression makes."""
    parser = _Parser(text, names)
    test = parser.any_of()
    parser.end()
    return test


def updated(text: str, names: Names, item: Item) -> Item:
    """The item after an update expression; what it reads is the item before."""
    return _Parser(text, names).updated(item)


def key_range(text: str, names: Names) -> tuple[str, Value, str, Value | None, Value | None]:
    """A key condition: hash attribute and value, then range attribute, least and most value."""
    found = re.fullmatch(r"\s*(#?\w+) = (:\w+)(?: AND (#?\w+) BETWEEN (:\w+) AND (:\w+))?\s*", text)
    if not found:
        raise ExpressionUnknown(text)
    hash_name, hash_value, range_name, least, most = found.groups()
    values = names.values
    return (
        names.names.get(hash_name, hash_name),
        values[hash_value],
        names.names.get(range_name, range_name) if range_name else "",
        values[least] if least else None,
        values[most] if most else None,
    )


def plain(value: Value) -> Any:
    """A value as Python compares it: numbers by size, all else as it is."""
    ((kind, content),) = value.items()
    return Decimal(content) if kind == "N" else (kind, content)


class _Parser:
    def __init__(self, text: str, names: Names) -> None:
        self._text = text
        self._names = names
        self._tokens = _TOKEN.findall(text)
        if re.sub(r"\s", "", text) != "".join(self._tokens):
            raise ExpressionUnknown(text)
        self._place = 0

    def end(self) -> None:
        if self._place != len(self._tokens):
            raise ExpressionUnknown(self._text)

    def _peek(self) -> str:
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def _take(self, wanted: str | None = None) -> str:
        token = self._peek()
        if not token or (wanted is not None and token != wanted):
            raise ExpressionUnknown(self._text)
        self._place += 1
        return token

    def any_of(self) -> Test:
        tests = [self._all_of()]
        while self._peek() == "OR":
            self._take()
            tests.append(self._all_of())
        return lambda item: any(test(item) for test in tests)

    def _all_of(self) -> Test:
        tests = [self._one()]
        while self._peek() == "AND":
            self._take()
            tests.append(self._one())
        return lambda item: all(test(item) for test in tests)

    def _one(self) -> Test:
        if self._peek() == "NOT":
            self._take()
            inner = self._one()
            return lambda item: not inner(item)
        if self._peek() == "(":
            self._take()
            inner = self.any_of()
            self._take(")")
            return inner
        if self._tokens[self._place + 1 : self._place + 2] == ["("]:
            return self._function()
        return self._comparison()

    def _function(self) -> Test:
        name = self._take()
        self._take("(")
        path = self._path(self._take())
        if name in {"attribute_exists", "attribute_not_exists"}:
            self._take(")")
            wanted = name == "attribute_exists"
            return lambda item: (path in item) == wanted
        if name != "contains":
            raise ExpressionUnknown(self._text)
        self._take(",")
        part = self._names.values[self._take()]
        self._take(")")
        return lambda item: path in item and part in item[path].get("L", ())

    def _comparison(self) -> Test:
        left = self._operand()
        sign = self._take()
        if sign == "BETWEEN":
            least = self._operand()
            self._take("AND")
            most = self._operand()
            return lambda item: (
                _compared(">=", left(item), least(item)) and _compared("<=", left(item), most(item))
            )
        right = self._operand()
        return lambda item: _compared(sign, left(item), right(item))

    def _operand(self) -> Callable[[Item], Value | None]:
        token = self._take()
        if token.startswith(":"):
            value = self._names.values[token]
            return lambda item: value
        if token == "if_not_exists":
            self._take("(")
            path = self._path(self._take())
            self._take(",")
            other = self._operand()
            self._take(")")
            return lambda item: item.get(path) or other(item)
        path = self._path(token)
        return lambda item: item.get(path)

    def _path(self, token: str) -> str:
        if token in _WORDS or token.startswith(":"):
            raise ExpressionUnknown(self._text)
        return self._names.names[token] if token.startswith("#") else token

    def updated(self, item: Item) -> Item:
        result = dict(item)
        while self._place < len(self._tokens):
            clause = self._take()
            if clause not in {"SET", "REMOVE", "ADD"}:
                raise ExpressionUnknown(self._text)
            while True:
                path = self._path(self._take())
                if clause == "REMOVE":
                    result.pop(path, None)
                elif clause == "ADD":
                    result[path] = _sum(item.get(path, {"N": "0"}), self._operand()(item), "+")
                else:
                    self._take("=")
                    result[path] = self._sum(item)
                if self._peek() != ",":
                    break
                self._take()
        return result

    def _sum(self, item: Item) -> Value:
        value = self._operand()(item)
        while self._peek() in {"+", "-"}:
            sign = self._take()
            value = _sum(value, self._operand()(item), sign)
        if value is None:
            raise ExpressionUnknown(f"{self._text}: an attribute is missing")
        return value


def _sum(left: Value | None, right: Value | None, sign: str) -> Value:
    if left is None or right is None:
        raise ExpressionUnknown("an attribute of a sum is missing")
    first, second = Decimal(left["N"]), Decimal(right["N"])
    return {"N": str(first + second if sign == "+" else first - second)}


def _compared(sign: str, left: Value | None, right: Value | None) -> bool:
    if left is None or right is None or left.keys() != right.keys():
        return sign == "<>"
    if sign not in _COMPARE:
        raise ExpressionUnknown(sign)
    return _COMPARE[sign](plain(left), plain(right))
