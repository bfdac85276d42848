"""What the end-to-end tests may rely on: LocalStack runs functions as AWS does and cleans up."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiobotocore
import pytest
from aiohttp import ClientSession
from yarl import URL

from tests.e2e.localstack.harness import Endpoint
from tests.e2e.localstack.sample.deployment import HANDLER_FILE, Deployed, client, invoke, zipped


async def _echoed(http: ClientSession, url: str, **request: Any) -> dict[str, Any]:
    async with http.request(request.pop("method", "GET"), URL(url, encoded=True), **request) as got:
        assert got.status == 200
        event: dict[str, Any] = await got.json()
        return event


async def test_a_request_reaches_the_function_as_a_proxy_event(
    sample: Deployed, http: ClientSession
) -> None:
    event = await _echoed(http, f"{sample.base_url}/echo/a%20b?tag=x&tag=%C3%BC")

    assert event["httpMethod"] == "GET"
    assert event["resource"] == "/echo/{name}"
    assert event["path"] == "/echo/a%20b"
    assert event["pathParameters"] == {"name": "a%20b"}
    assert event["multiValueQueryStringParameters"] == {"tag": ["x", "ü"]}
    assert event["queryStringParameters"] == {"tag": "ü"}
    assert event["body"] is None
    assert event["isBase64Encoded"] is False
    assert event["requestContext"]["stage"] == "v1"
    assert event["requestContext"]["path"] == "/v1/echo/a%20b"
    assert event["requestContext"]["identity"]["sourceIp"] == "127.0.0.1"
    assert event["requestContext"]["requestId"]


async def test_an_absent_query_is_null_rather_than_empty(
    sample: Deployed, http: ClientSession
) -> None:
    event = await _echoed(http, f"{sample.base_url}/echo/x")

    assert event["queryStringParameters"] is None
    assert event["multiValueQueryStringParameters"] is None


async def test_text_arrives_as_text(sample: Deployed, http: ClientSession) -> None:
    event = await _echoed(http, f"{sample.base_url}/echo/x", method="POST", json={"a": "ü"})

    assert (json.loads(event["body"]), event["isBase64Encoded"]) == ({"a": "ü"}, False)


async def test_the_answer_keeps_status_and_repeated_headers(
    sample: Deployed, http: ClientSession
) -> None:
    async with http.get(f"{sample.base_url}/teapot") as got:
        assert got.status == 418
        assert got.headers.getall("X-Twice") == ["one", "two"]


async def test_a_path_outside_the_api_is_refused_by_the_gateway(
    sample: Deployed, http: ClientSession
) -> None:
    async with http.get(f"{sample.base_url}/unknown/path/altogether") as got:
        assert got.status == 403
        assert await got.json() == {"message": "Missing Authentication Token"}


async def test_a_function_that_raises_is_a_bad_gateway(
    sample: Deployed, http: ClientSession
) -> None:
    async with http.get(f"{sample.base_url}/raise") as got:
        assert got.status == 502
        assert await got.json() == {"message": "Internal server error"}


async def test_a_function_reaches_both_stores(sample: Deployed, http: ClientSession) -> None:
    async with http.get(f"{sample.base_url}/stores") as got:
        answer = await got.json()

    assert answer["object"] == "bytes of the object"
    assert [item["id"] for item in answer["items"]] == [{"S": "first"}, {"S": "second"}]


async def test_a_function_sees_nothing_but_its_own_environment(
    sample: Deployed, functions: Any, localstack: Endpoint
) -> None:
    seen, error, _ = await invoke(functions, sample.function, {"do": "describe"})

    assert error is None
    assert seen["environment"]["AWS_ENDPOINT_URL"] == localstack.url
    assert seen["environment"]["TABLE"] == sample.table
    assert seen["environment"]["AWS_LAMBDA_FUNCTION_NAME"] == sample.function
    # A package that the zip lacks must be missing here, too.
    assert "PYTHONPATH" not in seen["environment"]
    ours = {Path(aiobotocore.__file__).parents[1], Path(__file__).parents[2]}
    assert ours.isdisjoint(map(Path, seen["import_path"]))


async def test_events_at_the_same_time_get_processes_of_their_own(
    sample: Deployed, functions: Any, tmp_path: Path
) -> None:
    # Each returns once it has seen the others, so one process alone would never answer.
    event = {"do": "meet", "folder": str(tmp_path), "people": 3}
    answers = await asyncio.gather(*(invoke(functions, sample.function, event) for _ in range(3)))

    assert [error for _, error, _ in answers] == [None] * 3
    assert len({answer["process"] for answer, _, _ in answers}) == 3


async def test_a_function_over_its_time_is_stopped_and_the_next_event_served(
    sample: Deployed, functions: Any
) -> None:
    document, error, logs = await invoke(functions, sample.function, {"do": "hang"})

    assert error == "Unhandled"
    assert document["errorType"] == "Sandbox.Timedout"
    assert document["errorMessage"].endswith("Task timed out after 2.00 seconds")
    assert "Task timed out after 2.00 seconds" in logs
    answer, error, _ = await invoke(functions, sample.function, {"do": "describe"})
    assert (error, answer["environment"]["TABLE"]) == (None, sample.table)


async def test_a_function_that_kills_its_process_is_an_error_and_the_next_event_served(
    sample: Deployed, functions: Any
) -> None:
    document, error, _ = await invoke(functions, sample.function, {"do": "exit"})

    assert (error, document["errorType"]) == ("Unhandled", "Runtime.ExitError")
    _, error, _ = await invoke(functions, sample.function, {"do": "describe"})
    assert error is None


async def test_a_function_that_cannot_be_imported_says_why(functions: Any) -> None:
    name = f"broken-{uuid.uuid4().hex[:8]}"
    await functions.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="broken.handler",
        Role="arn:aws:iam::000000000000:role/any",
        Code={"ZipFile": zipped(broken="import absent_altogether")},
    )
    document, error, _ = await invoke(functions, name, {})

    assert error == "Unhandled"
    assert document["errorType"] == "Runtime.ImportModuleError"
    assert "absent_altogether" in document["errorMessage"]


async def test_what_a_function_writes_is_in_its_log_group(
    sample: Deployed, functions: Any, localstack: Endpoint
) -> None:
    word = uuid.uuid4().hex
    _, _, tail = await invoke(functions, sample.function, {"do": "print", "word": word})

    assert f"{word} on stdout\n{word} on stderr\n" in tail
    assert tail.startswith("START RequestId: ")
    async with client(localstack, "logs") as logs, asyncio.timeout(10):
        messages: list[str] = []
        while not messages:  # LocalStack writes them behind the answer
            found = await logs.filter_log_events(
                logGroupName=f"/aws/lambda/{sample.function}", filterPattern=word
            )
            messages = [event["message"].strip() for event in found["events"]]
    assert f"{word} on stdout" in messages


# ---- Start and end -------------------------------------------------------------------------------


_RUN = """
import signal
import sys
from pathlib import Path
from tests.e2e.localstack.harness import running_localstack

# Whoever starts tests in the background of a script has them ignore it, and their children too.
signal.signal(signal.SIGINT, signal.default_int_handler)
with running_localstack(Path(sys.argv[1])) as endpoint:
    print(endpoint.url, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other_localstack(localstack: Endpoint, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", _RUN, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as tests:
        yield tests
        tests.kill()


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGKILL])
async def test_nothing_remains_however_the_tests_end(
    other_localstack: subprocess.Popen[str], ended_by: signal.Signals, tmp_path: Path
) -> None:
    assert other_localstack.stdout is not None
    url = (await asyncio.to_thread(other_localstack.stdout.readline)).strip()
    endpoint = Endpoint(url=url, log=tmp_path / "x", function_logs=tmp_path)
    async with AsyncExitStack() as stack:
        functions = await stack.enter_async_context(client(endpoint, "lambda"))
        await functions.create_function(
            FunctionName="idle",
            Runtime="python3.13",
            Handler="sample.handler",
            Role="arn:aws:iam::000000000000:role/any",
            Code={"ZipFile": zipped(sample=HANDLER_FILE.read_text())},
        )
        seen, error, _ = await invoke(functions, "idle", {"do": "describe"})
    assert error is None
    group = os.getpgid(seen["process"])
    assert group != os.getpgid(0)

    other_localstack.send_signal(ended_by)

    async with asyncio.timeout(30):
        while _runs(group):
            await asyncio.sleep(0.05)


def _runs(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
