"""A quick start leaves out work, and nothing that anybody would miss."""

from __future__ import annotations

import subprocess
import sys


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


def test_only_the_function_that_signs_starts_without_connections() -> None:
    code = (
        "import sys, lambda_bridge.handler;"
        "print(*(name in sys.modules for name in ('aiohttp', 'aiobotocore.httpsession')))"
    )
    handler = "lambda_bridge.handler."
    assert said_by(code, _HANDLER=handler + "upload_presigned_url") == ["False", "False"]
    assert said_by(code, _HANDLER=handler + "list_images") == ["True", "True"]


CALL = """
import sys
from types import SimpleNamespace
from lambda_bridge import handler
from service.storage import patience
patience.TRIES = 1
context = SimpleNamespace(function_name="f", memory_limit_in_mb=1, aws_request_id="r",
    invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:f")
def status(entry, **event):
    return entry(event, context)["statusCode"]
image = "0b8f7d0e-7e0f-4d7c-9c73-0a0c5b7f0a11"
print()
print(
    status(handler.upload_presigned_url, body={"user_id": "ann", "filename": "a.png",
        "content_type": "image/png", "file_size": 1}),
    "aiohttp" in sys.modules,
    status(handler.get_image_presigned_url, pathParameters={"image_id": image}),
    "aiohttp" in sys.modules,
    "botocore.session" in sys.modules,
)
"""


def test_what_lambda_sets_is_enough_to_sign_and_to_call_without_loading_the_sdk() -> None:
    environment = {
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",  # where nobody listens
        "REQUEST_TIME_LIMIT": "1",
        "LOG_LEVEL": "ERROR",
        "POWERTOOLS_METRICS_DISABLED": "true",
    }
    upload = {**environment, "_HANDLER": "lambda_bridge.handler.upload_presigned_url"}
    assert said_by(CALL, **upload)[-5:] == ["200", "False", "503", "True", "False"]
    settled = said_by(CALL, **upload, AWS_USE_FIPS_ENDPOINT="false")[-5:]
    assert settled == ["200", "True", "503", "True", "True"]


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
