"""The part of CloudFormation's template language that `config/data.yaml` uses.

Parameters, `!Ref`, `!Sub` and the names of resources, resolved; each value knows its place, so that
what is wrong can be found. Anything else is refused by name: a construct passed over in silence
would make a local store differ from the deployed one. Knows no bucket and no table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import yaml


class TemplateError(Exception):
    """The template says something that is not understood here. The message says what and where."""


@dataclass(frozen=True, slots=True)
class Node:
    """A value and its place in the template. Each method says what the value has to be."""

    value: object
    place: str

    def entries(self) -> dict[str, Node]:
        """A mapping."""
        if not isinstance(self.value, dict):
            raise self._wrong("a mapping")
        return {
            key: Node(value, f"{self.place}.{key}".removeprefix("."))
            for key, value in self.value.items()
        }

    def fields(self, *required: str, optional: tuple[str, ...] = ()) -> dict[str, Node]:
        """A mapping with these keys and no others."""
        entries = self.entries()
        if unknown := [key for key in entries if key not in required + optional]:
            raise self._error(f"{', '.join(map(str, unknown))} is not understood")
        if missing := [key for key in required if key not in entries]:
            raise self._error(f"{', '.join(missing)} is missing")
        return entries

    def field(self, name: str) -> Node:
        """A mapping with this one key."""
        return self.fields(name)[name]

    def items(self) -> list[Node]:
        """A list."""
        if not isinstance(self.value, list):
            raise self._wrong("a list")
        return [Node(item, f"{self.place}[{i}]") for i, item in enumerate(self.value)]

    def sole(self) -> Node:
        """A list of one."""
        if len(items := self.items()) != 1:
            raise self._wrong("a list of one")
        return items[0]

    def text(self) -> str:
        """A text that is not empty."""
        if not isinstance(self.value, str) or not self.value:
            raise self._wrong("a text")
        return self.value

    def texts(self) -> tuple[str, ...]:
        """A list of texts."""
        return tuple(item.text() for item in self.items())

    def one_of(self, *known: str) -> str:
        """One of these texts."""
        if (text := self.text()) not in known:
            raise self._wrong(" or ".join(known))
        return text

    def number(self) -> int:
        """A whole number."""
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            raise self._wrong("a whole number")
        return self.value

    def flag(self) -> bool:
        """A truth value, or its text: parameters are texts."""
        match self.value:
            case True | "true":
                return True
            case False | "false":
                return False
        raise self._wrong("true or false")

    def _wrong(self, wanted: str) -> TemplateError:
        return self._error(f"{self.value!r} is not {wanted}")

    def _error(self, message: str) -> TemplateError:
        return TemplateError(f"{self.place or 'template'}: {message}")


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource with every reference in its properties resolved."""

    type: str
    properties: Node


def read_resources(text: str, parameters: Mapping[str, str]) -> tuple[Resource, ...]:
    """Resources of a template, with these parameters over its defaults. Raises TemplateError."""
    try:
        document = yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader with three more tags)
    except yaml.YAMLError as error:
        raise TemplateError(str(error)) from error
    top = Node(document, "").fields(
        "AWSTemplateFormatVersion",
        "Resources",
        # Outputs are for other stacks and say nothing about the resources.
        optional=("Description", "Parameters", "Outputs"),
    )
    declared = top["Parameters"].entries() if "Parameters" in top else {}
    scope = _Scope(_values(declared, parameters), top["Resources"].entries())
    return tuple(_resource(scope, raw) for raw in scope.resources.values())


def _resource(scope: _Scope, raw: Node) -> Resource:
    # What becomes of a resource when its stack goes is a matter of CloudFormation alone.
    fields = raw.fields("Type", "Properties", optional=("DeletionPolicy", "UpdateReplacePolicy"))
    properties = fields["Properties"]
    resolved = scope.resolve(properties.value, properties.place)
    return Resource(fields["Type"].text(), Node(resolved, properties.place))


@dataclass(frozen=True, slots=True)
class _Call:
    """A function in its short form, such as `!Ref Bucket`."""

    tag: str
    argument: str


class _Loader(yaml.SafeLoader):
    """Plain YAML and the three functions that the template uses; any other tag is an error."""

    # Of its own: the SAM translator, where it is loaded too, teaches SafeLoader all functions.
    yaml_multi_constructors: ClassVar[dict[str | None, Any]] = {}


def _construct_call(loader: _Loader, node: yaml.ScalarNode) -> _Call:
    return _Call(node.tag, str(loader.construct_scalar(node)))


for _tag in ("!Ref", "!Sub", "!GetAtt"):
    _Loader.add_constructor(_tag, _construct_call)

# The property that `!Ref` to a resource of the type stands for.
_NAME_PROPERTIES = {"AWS::S3::Bucket": "BucketName", "AWS::DynamoDB::Table": "TableName"}


@dataclass(frozen=True, slots=True)
class _Scope:
    """What a reference can mean: the value of a parameter, or the name of a resource."""

    values: Mapping[str, str | list[str]]
    resources: Mapping[str, Node]

    def resolve(self, node: object, place: str) -> object:
        """The same tree with the value of each function in its place."""
        match node:
            case _Call("!Ref", name):
                return self._reference(name, place)
            case _Call("!Sub", text):
                return re.sub(r"\$\{([^}]*)\}", lambda m: self._part(m[1], place), text)
            case _Call(tag, _):
                raise TemplateError(f"{place}: {tag} is not understood here")
            case dict():
                return {key: self._entry(key, value, place) for key, value in node.items()}
            case list():
                return [self.resolve(item, f"{place}[{i}]") for i, item in enumerate(node)]
        return node

    def _entry(self, key: object, value: object, place: str) -> object:
        if key == "Ref" or str(key).startswith("Fn::"):
            raise TemplateError(f"{place}: the long form {key} is not understood")
        return self.resolve(value, f"{place}.{key}")

    def _part(self, name: str, place: str) -> str:
        return Node(self._reference(name, place), f"{place}: {name}").text()

    def _reference(self, name: str, place: str) -> object:
        if name in self.values:
            return self.values[name]
        match self.resources[name].value if name in self.resources else None:
            case {"Type": kind, "Properties": {**properties}} if kind in _NAME_PROPERTIES:
                return self.resolve(properties.get(_NAME_PROPERTIES[kind]), f"Resources.{name}")
        raise TemplateError(f"{place}: {name} is neither a parameter nor a resource with a name")


def _values(declared: Mapping[str, Node], given: Mapping[str, str]) -> dict[str, str | list[str]]:
    values: dict[str, str | list[str]] = {"AWS::Partition": given.get("AWS::Partition", "aws")}
    if unknown := given.keys() - declared.keys() - values.keys():
        raise TemplateError(f"Parameters: {', '.join(sorted(unknown))} is not declared")
    for name, declaration in declared.items():
        values[name] = _value(declaration, given.get(name))
    return values


def _value(declaration: Node, given: str | None) -> str | list[str]:
    place = declaration.place
    parameter = declaration.fields("Type", optional=("Default", "AllowedValues", "Description"))
    if given is None:
        if "Default" not in parameter:
            raise TemplateError(f"{place}: has no default and was not given")
        given = parameter["Default"].text()
    if "AllowedValues" in parameter and given not in parameter["AllowedValues"].texts():
        raise TemplateError(f"{place}: {given!r} is not an allowed value")
    match parameter["Type"].one_of("String", "CommaDelimitedList"):
        case "String":
            return given
        case _:
            return [item.strip() for item in given.split(",")]
