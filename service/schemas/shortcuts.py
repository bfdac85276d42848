"""Loads requests that are right without marshmallow's bookkeeping, and leaves all others to it.

The schemas stay the one declaration: a shortcut is made of a schema's fields. It takes only what
marshmallow is certain to take, and as marshmallow would; of anything else it is unsure, and
marshmallow has the word, which also knows how to say what is wrong. The tests compare the two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from marshmallow import EXCLUDE, RAISE, Schema, fields, missing, validate

from service.schemas.fields import UUID_PATTERN, Count, ImageId, QueryCount, UserId

_Test = Callable[[Any], object]
"""Whether a value passes: true or false to `if`."""


class Unsure(Exception):
    """Ask marshmallow."""


class _Rule(NamedTuple):
    """Which values are right, and what is loaded of one; itself where there is nothing to `make`.

    `kind` is the type that JSON gives, exactly: True is a number to Python, and marshmallow takes
    1.0 for 1. It is None where only marshmallow can tell, and `make` is its own way to load.
    """

    kind: type | None
    test: _Test
    make: Callable[[Any], Any] | None = None


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
            step = (name, *_rule(field), field.required, field.load_default, field.allow_none)
            self._steps.append(step)

    def take(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """All fields that were sent or have a default. Raises Unsure, also by ValidationError."""
        if self._known is not None and not data.keys() <= self._known:
            raise Unsure
        taken: dict[str, Any] = {}
        for name, kind, test, make, required, default, or_none in self._steps:
            value = data.get(name, missing)
            if type(value) is kind:
                if not test(value):
                    raise Unsure
                taken[name] = value if make is None else make(value)
            elif value is missing:
                if required:
                    raise Unsure
                if default is not missing:
                    taken[name] = default
            elif value is None and or_none:
                taken[name] = None
            elif value is not None and kind is None and make is not None:
                taken[name] = make(value)
            else:
                raise Unsure
        return taken


def _rule(field: fields.Field[Any]) -> _Rule:
    """The rule of a field; of a kind of field that is not known here, marshmallow's own way."""
    known = _RULES.get(type(field))
    test = _test(field.validators)
    rule = None if known is None or test is None else known(field, test)
    return rule or _Rule(None, _anything, field.deserialize)


def _anything(_: Any) -> bool:
    return True


def _text(_: Any, test: _Test) -> _Rule:
    return _Rule(str, test)


def _number(_: Any, test: _Test) -> _Rule:
    return _Rule(int, test)


def _digits(_: Any, test: _Test) -> _Rule:
    def is_right(value: str) -> object:
        return len(value) <= 9 and value.isascii() and value.isdigit() and test(int(value))

    return _Rule(str, is_right, int)


def _image_id(_: Any, test: _Test) -> _Rule:
    return _Rule(str, lambda value: UUID_PATTERN.fullmatch(value) and test(value), str.lower)


def _list(field: fields.List[Any], test: _Test) -> _Rule | None:
    kind, right, make = _rule(field.inner)
    if kind is None:
        return None

    kinds = frozenset({kind})

    def is_right(value: list[Any]) -> object:
        return test(value) and kinds.issuperset(map(type, value)) and all(map(right, value))

    return _Rule(list, is_right, None if make is None else lambda value: list(map(make, value)))


_RULES: dict[type, Callable[..., _Rule | None]] = {
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
            return _anything
        case [validate.Length(min=least, max=most, equal=None)]:
            shortest, longest = least or 0, float("inf") if most is None else most
            return lambda value: shortest <= len(value) <= longest
        case [validate.Range(min_inclusive=True, max_inclusive=True, min=int(low), max=int(high))]:
            return lambda value: low <= value <= high
        case [validate.OneOf(choices=choices)]:
            return frozenset(choices).__contains__
        case [validate.Regexp(regex=pattern)]:
            return pattern.match
    return None
