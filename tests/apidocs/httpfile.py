"""Sends the requests of an .http file: the part of the format that config/workflow.http uses.

Variables (`@name = value`), named requests (`# @name`), references into their answers
(`{{name.response.body.$.a['b']}}`, `{{name.response.headers.ETag}}`), `{{$guid}}`, and files
(`< ./path`) in a multipart body, whose lines end with CRLF. What it does not know is an error.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

_REFERENCE = re.compile(r"(\w+)\.response\.(?:body\.\$(?P<path>.*)|headers\.(?P<header>[\w-]+))")
_STEP = re.compile(r"\.(\w+)|\['([^']+)'\]")


@dataclass(frozen=True)
class Request:
    """One request, as it is written."""

    name: str
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: list[str]


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes


@dataclass
class HttpFile:
    """The requests of a file, and what its variables and named requests stand for by now."""

    folder: Path
    variables: dict[str, str]
    requests: list[Request]
    answers: dict[str, Answer] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> HttpFile:
        """Parse it."""
        blocks = re.split(r"^###.*\n", path.read_text("utf-8"), flags=re.MULTILINE)
        variables = dict(re.findall(r"^@(\w+) = (.+)$", blocks[0], re.MULTILINE))
        left = [each for each in blocks[0].splitlines() if each and each[0] not in "#@"]
        assert not left, left
        return cls(path.parent, variables, [_request(block) for block in blocks[1:]])

    async def send(self, request: Request, browser: aiohttp.ClientSession) -> Answer:
        """Send one, and remember the answer under its name."""
        headers = CIMultiDict((name, self.filled(value)) for name, value in request.headers)
        multipart = headers.get("Content-Type", "").startswith("multipart/")
        lines = [self._line(line) for line in request.body]
        url = URL(self.filled(request.target), encoded=True)
        body = (b"\r\n" if multipart else b"\n").join(lines)
        async with browser.request(
            request.method,
            url,
            headers=headers,
            data=body or None,
            skip_auto_headers=["Content-Type"],
        ) as received:
            answer = Answer(received.status, received.headers, await received.read())
        if request.name:
            self.answers[request.name] = answer
        return answer

    def filled(self, text: str) -> str:
        """The text with everything in double braces replaced."""
        return re.sub(r"\{\{(.+?)\}\}", lambda found: self._value(found[1]), text)

    def _line(self, line: str) -> bytes:
        if line.startswith("< "):
            return (self.folder / line.removeprefix("< ")).read_bytes()
        return self.filled(line).encode()

    def _value(self, expression: str) -> str:
        if expression == "$guid":
            return str(uuid4())
        if expression in self.variables:
            return self.variables[expression]
        reference = _REFERENCE.fullmatch(expression)
        assert reference, f"unknown: {expression}"
        answer = self.answers[reference[1]]
        if reference["header"]:
            return answer.headers[reference["header"]]
        found = _looked_up(json.loads(answer.body), reference["path"])
        assert isinstance(found, str), f"{expression} is {found!r}"
        return found


def _looked_up(document: Any, path: str) -> Any:
    assert _STEP.sub("", path) == "", path
    for step in _STEP.finditer(path):
        document = document[step[1] or step[2]]
    return document


def _request(block: str) -> Request:
    name = re.search(r"^# @name (\w+)$", block, re.MULTILINE)
    lines = block.splitlines()
    while lines[0].startswith("#"):
        lines.pop(0)
    method, target = lines.pop(0).split(" ")
    headers = []
    while lines and lines[0]:
        header, _, value = lines.pop(0).partition(": ")
        headers.append((header, value))
    body = "\n".join(lines).strip("\n").split("\n")
    return Request(name[1] if name else "", method, target, headers, body)
