"""Loads requests that are right without marshmallow's bookkeeping, and leaves all others to it.

The schemas stay the one declaration: a shortcut is made of a schema's fields. It takes only what
marshmallow is certain to take, and as marshmallow would; of anything else it is unsure, and
marshmallow has the word, which also knows how to say what is wrong. The tests compare the two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from marshmallow import EXCLUDE, RAISE, Schema, fields, missing, validate

from service.schemas.fields import UUID_PATTERN, Count, ImageId, QueryCount, UserId

Rule = Callable[[Any], Any]
"""A value as sent (never None) to the one that is loaded. Raises Unsure."""
_Test = Callable[[Any], bool]


class Unsure(Exception):
    """Ask marshmallow."""


class Shortcut:
    """What a schema's own hooks are given, made of what was sent."""

    def __init__(self, schema: Schema) -> None:
        if schema.unknown not in {EXCLUDE, RAISE}:
            raise TypeError(f"{type(schema).__name__}: unknown fields are left out or refused")
        self._known = frozenset(schema.load_fields) if schema.unknown == RAISE else None
        self._steps = []
        for name, field in schema.load_fields.items():
            if field.data_key is not None or field.attribute or callable(field.load_default):
                raise TypeError(f"{type(schema).__name__}.{name}: goes by one name, has no factory")
            step = (name, _rule(field), field.required, field.load_default, field.allow_none)
            self._steps.append(step)

    def take(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """All fields that were sent or have a default. Raises Unsure, also by ValidationError."""
        if self._known is not None and not data.keys() <= self._known:
            raise Unsure
        taken: dict[str, Any] = {}
        for name, rule, required, default, or_none in self._steps:
            value = data.get(name, missing)
            if value is missing:
                if required:
                    raise Unsure
                if default is not missing:
                    taken[name] = default
            elif value is not None:
                taken[name] = rule(value)
            elif or_none:
                taken[name] = None
            else:
                raise Unsure
        return taken


def _rule(field: fields.Field[Any]) -> Rule:
    """How to take a value; of a kind of field that is not known here, marshmallow's own way."""
    known = _RULES.get(type(field))
    test = _test(field.validators)
    return field.deserialize if known is None or test is None else known(field, test)


# Of the type that JSON gives, exactly: True is a number to Python, and marshmallow takes 1.0 for 1.


def _text(_: Any, test: _Test) -> Rule:
    def take(value: Any) -> str:
        if type(value) is str and test(value):
            return value
        raise Unsure

    return take


def _number(_: Any, test: _Test) -> Rule:
    def take(value: Any) -> int:
        if type(value) is int and test(value):
            return value
        raise Unsure

    return take


def _digits(_: Any, test: _Test) -> Rule:
    def take(value: Any) -> int:
        if type(value) is str and len(value) <= 9 and value.isascii() and value.isdigit():
            number = int(value)
            if test(number):
                return number
        raise Unsure

    return take


def _image_id(_: Any, test: _Test) -> Rule:
    def take(value: Any) -> str:
        if type(value) is str and UUID_PATTERN.fullmatch(value) and test(value):
            return value.lower()
        raise Unsure

    return take


def _list(field: fields.List[Any], test: _Test) -> Rule:
    inner = _rule(field.inner)

    def take(value: Any) -> list[Any]:
        if type(value) is list and None not in value and test(value):
            return [inner(each) for each in value]
        raise Unsure

    return take


_RULES: dict[type, Callable[..., Rule]] = {
    fields.String: _text,
    UserId: _text,
    Count: _number,
    QueryCount: _digits,
    ImageId: _image_id,
    fields.List: _list,
}


def _test(validators: Sequence[Any]) -> _Test | None:
    """Whether a value passes them; None where one, or more than one at once, is not known here."""
    match validators:
        case []:
            return lambda value: True
        case [validate.Length(min=least, max=most, equal=None)]:
            shortest, longest = least or 0, float("inf") if most is None else most
            return lambda value: shortest <= len(value) <= longest
        case [validate.Range(min_inclusive=True, max_inclusive=True, min=int(low), max=int(high))]:
            return lambda value: low <= value <= high
        case [validate.OneOf(choices=choices)]:
            return frozenset(choices).__contains__
        case [validate.Regexp(regex=pattern)]:
            return lambda value: pattern.match(value) is not None
    return None
