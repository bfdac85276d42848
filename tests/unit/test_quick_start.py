"""A quick start leaves out work, and nothing that anybody would miss."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest

from service.settings import Settings
from service.storage.clients import open_clients_on_first_use

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}


def said_by(code: str, **environment: str) -> list[str]:
    """What a fresh process prints: importing a handler changes the process that does it."""
    finished = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={"AWS_LAMBDA_FUNCTION_NAME": "f", **environment},
    )
    return finished.stdout.split()


def test_only_the_function_that_signs_starts_without_the_sdk() -> None:
    code = (
        "import sys, lambda_bridge.handler;"
        "print(*(name in sys.modules for name in ('aiohttp', 'aiobotocore.session')))"
    )
    handler = "lambda_bridge.handler."
    assert said_by(code, _HANDLER=handler + "upload_presigned_url") == ["False", "False"]
    assert said_by(code, _HANDLER=handler + "list_images") == ["True", "True"]


def test_no_function_loads_what_only_documents_or_the_server_need() -> None:
    code = (
        "import sys, lambda_bridge.handler;"
        "print(*sorted(set(sys.modules) & {'apispec', 'yaml', 'prometheus_client', 'aiohttp.web',"
        " 'service.openapi', 'service.metrics', 'service.web', 'cryptography', 'moto'}))"
    )
    assert said_by(code) == []


def test_what_stood_in_while_loading_is_gone_afterwards() -> None:
    code = (
        "import re, ssl, gc\n"
        "def now():\n"
        "    context = ssl.SSLContext\n"
        "    return re.compile, context.load_default_certs, context.set_default_verify_paths\n"
        "before = now(); import lambda_bridge.handler; print(now() == before, gc.isenabled())"
    )
    assert said_by(code) == ["True", "True"]


def test_an_email_address_can_still_be_checked() -> None:
    code = (
        "import lambda_bridge.handler; from marshmallow.validate import Email, ValidationError\n"
        "print(type(Email.DOMAIN_REGEX).__name__, Email()('ann@exämple.org'))\n"
        "try: Email()('nobody')\n"
        "except ValidationError: print('refused')"
    )
    assert said_by(code, PYTHONIOENCODING="utf-8") == [
        "CompiledOnUse",
        "ann@exämple.org",
        "refused",
    ]


def test_a_default_context_of_aiohttp_trusts_nobody_rather_than_anybody() -> None:
    code = (
        "import lambda_bridge.handler, ssl; from aiohttp import connector;"
        "context = connector._SSL_CONTEXT_VERIFIED;"
        "print(context.verify_mode.name, context.check_hostname, len(context.get_ca_certs()))"
    )
    assert said_by(code) == ["CERT_REQUIRED", "True", "0"]


async def test_a_client_is_opened_once_by_whoever_calls_it_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = []

    class Client:
        async def get_item(self, **keywords: Any) -> object:
            return keywords

    async def open_one(_: object, service: str, endpoint: str | None) -> Client:
        opened.append((service, endpoint))
        await asyncio.sleep(0)  # lets the other callers in
        return Client()

    monkeypatch.setattr("service.storage.clients._Opener.open", open_one)
    settings = Settings(aws_endpoint_url="http://127.0.0.1:1")
    async with open_clients_on_first_use(settings, KEYS) as clients:
        assert opened == []
        calls = [clients.dynamodb.get_item(Key=number) for number in range(3)]
        assert await asyncio.gather(*calls) == [{"Key": 0}, {"Key": 1}, {"Key": 2}]
        assert await clients.dynamodb.get_item(Key=3) == {"Key": 3}
    assert opened == [("dynamodb", "http://127.0.0.1:1")]


async def test_an_opening_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class Client:
        async def get_item(self) -> str:
            return "found"

    outcomes: list[Client | None] = [None, Client()]

    async def open_one(*_: object) -> Client:
        client = outcomes.pop(0)
        if client is None:
            raise OSError("no file handles left")
        return client

    monkeypatch.setattr("service.storage.clients._Opener.open", open_one)
    async with open_clients_on_first_use(Settings(), KEYS) as clients:
        with pytest.raises(OSError, match="no file handles"):
            await clients.dynamodb.get_item()
        assert await clients.dynamodb.get_item() == "found"
