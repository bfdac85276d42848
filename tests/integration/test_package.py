"""Lambda's package: the same bytes every time, small, and enough for every endpoint by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from service.__main__ import main
from service.deployment.bytecode import find_interpreter
from service.deployment.contents import FOR_TOKENS, LEFT_OUT, own_files, requirements
from service.deployment.package import (
    Package,
    PackagingFailed,
    Target,
    architecture_of,
    build_package,
    target_for,
)
from service.settings import Settings
from tests.support.real_images import real_image
from tests.support.stores import provision, random_settings

MOST_BYTES = 10_000_000
ELF_MACHINES = {"arm64": 183, "x86_64": 62}


def build(target: Target, output: Path) -> Package:
    try:
        return build_package(target, output)
    except PackagingFailed as reason:
        if os.environ.get("CI") or "could not fetch" not in str(reason):
            raise
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return build(target_for("local", None), tmp_path_factory.mktemp("package") / "local.zip")


@pytest.fixture(scope="module")
def folder(package: Package) -> Path:
    with zipfile.ZipFile(package.path) as archive:
        archive.extractall(package.path.parent / "unpacked")
    return package.path.parent / "unpacked"


def names(package: Package) -> set[str]:
    with zipfile.ZipFile(package.path) as archive:
        return set(archive.namelist())


def test_the_same_input_gives_the_same_bytes(package: Package, tmp_path: Path) -> None:
    again = build(target_for("local", None), tmp_path / "another-name.zip")
    assert again.path.read_bytes() == package.path.read_bytes()
    assert again.sha256 == package.sha256


def test_it_is_small(package: Package) -> None:
    assert package.size == package.path.stat().st_size <= MOST_BYTES


def test_every_module_is_there_as_bytecode_that_needs_no_look_at_its_source(
    package: Package,
) -> None:
    assert package.compiled
    sources = {name for name in names(package) if name.endswith(".py")}
    tag = sys.implementation.cache_tag
    assert len(sources) > 500
    with zipfile.ZipFile(package.path) as archive:
        for source in sources:
            path = Path(source)
            bytecode = archive.read(f"{path.parent.joinpath('__pycache__', path.stem)}.{tag}.pyc")
            # PEP 552: the first flag is "by hash", the second "check the source".
            assert int.from_bytes(bytecode[4:8], "little") == 0b01, source


def test_it_holds_nothing_that_lambda_has_no_use_for(package: Package) -> None:
    found = names(package)
    tops = {name.partition("/")[0] for name in found}
    assert not tops & {"moto", "click", "jinja2", "yaml", "pytest", "boto3", "tests", "test", "bin"}
    for ours in (
        "web",
        "serve",
        "embedded",
        "pages",
        "client",
        "commands",
        "deployment",
        "__main__",
    ):
        assert not [name for name in found if name.startswith(f"service/{ours}")], ours
    data = {name for name in found if name.startswith("botocore/data/")}
    assert {Path(name).name for name in data} == {
        *("endpoints.json", "partitions.json", "sdk-default-configuration.json"),
        "endpoint-rule-set-1.json.gz",
    }
    assert {name.split("/")[2] for name in data if name.endswith(".gz")} == {"s3", "dynamodb"}


def test_our_part_is_what_the_entry_points_reach() -> None:
    ours = {place for place, _ in own_files()}
    assert {
        "lambda_bridge/handler.py",
        "service/openapi.py",  # imported in the middle of a function
        "service/schemas/requests.py",
        "service/docs/index.html",
    } <= ours
    assert "service/metrics.py" not in ours


def test_what_is_required_and_left_out_is_named_with_a_reason() -> None:
    required = {name.lower() for name in requirements(tokens=False)}
    assert {"aiobotocore", "marshmallow", "aws-lambda-powertools"} <= required
    assert not required & (LEFT_OUT.keys() | FOR_TOKENS.keys())
    assert "joserfc" in requirements(tokens=True)
    assert all(LEFT_OUT.values())


@pytest.mark.parametrize(
    "platform",
    [
        "arm64",
        pytest.param(
            "x86_64",
            marks=pytest.mark.skipif(
                os.environ.get("PACKAGE") != "all", reason="takes a while: PACKAGE=all"
            ),
        ),
    ],
)
def test_for_aws_it_has_extension_modules_of_that_processor(platform: Any, tmp_path: Path) -> None:
    package = build(target_for(platform, None), tmp_path / "aws.zip")
    assert package.size <= MOST_BYTES
    assert package.compiled is (find_interpreter("3.13") is not None)
    with zipfile.ZipFile(package.path) as archive:
        libraries = [name for name in archive.namelist() if name.endswith(".so")]
        assert any(name.startswith("orjson/") for name in libraries)
        for name in libraries:
            assert f".cpython-313-{'aarch64' if platform == 'arm64' else 'x86_64'}-" in name
            # ELF header: the machine.
            assert archive.read(name)[18] == ELF_MACHINES[platform]


def test_the_architecture_of_a_package_is_lambdas_word_for_it() -> None:
    assert architecture_of("arm64") == "arm64"
    assert architecture_of("local") in {"arm64", "x86_64"}


def test_a_package_without_bytecode_is_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.deployment.package.find_interpreter", lambda version: None)
    for step in ("install_wheels", "reduce_endpoints"):  # other people's part: slow, no matter here
        monkeypatch.setattr(f"service.deployment.package.{step}", lambda *arguments: None)
    output = tmp_path / "ours-alone.zip"
    result = CliRunner().invoke(main, ["package", "--output", str(output)])
    assert result.exit_code == 0
    assert "no Python 3.13 here" in result.stderr
    assert result.stdout.strip() == str(output)
    with zipfile.ZipFile(output) as archive:
        assert set(archive.namelist()) == {place for place, _ in own_files()}


def test_a_package_that_cannot_be_built_says_why(tmp_path: Path) -> None:
    command = ["package", "--platform", "local", "--python", "3.9", "--output"]
    result = CliRunner().invoke(main, [*command, str(tmp_path / "any.zip")])
    assert result.exit_code == 1
    assert "not 3.9" in result.stderr
    assert not list(tmp_path.iterdir())


# --- the package by itself ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stores(embedded: str) -> Settings:
    return random_settings(embedded)


WORKFLOW = """
import json, sys, urllib.request, uuid
from types import SimpleNamespace
from lambda_bridge import handler

def call(function, **event):
    context = SimpleNamespace(
        aws_request_id=str(uuid.uuid4()), function_name=function, memory_limit_in_mb=512,
        invoked_function_arn=f"arn:aws:lambda:us-east-1:123456789012:function:{function}",
    )
    answer = getattr(handler, function)(event, context)
    seen.append((function, answer["statusCode"]))
    return answer["body"]

seen = []
image = bytes.fromhex(sys.argv[1])
facts = {"user_id": "alice", "filename": "a b.png", "content_type": "image/png",
         "file_size": len(image)}
form = json.loads(call("upload_presigned_url", body=json.dumps(facts)))
boundary = uuid.uuid4().hex
parts = [f'--{boundary}\\r\\nContent-Disposition: form-data; name="{name}"\\r\\n\\r\\n{value}\\r\\n'
         for name, value in form["fields"].items()]
body = "".join(parts).encode() + (
    f'--{boundary}\\r\\nContent-Disposition: form-data; name="file"; filename="x"\\r\\n\\r\\n'
).encode() + image + f"\\r\\n--{boundary}--\\r\\n".encode()
urllib.request.urlopen(urllib.request.Request(
    form["presigned_url"], body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}))
ids = {"image_id": form["image_id"]}
call("complete_upload", body=json.dumps({**facts, **ids}))
listed = json.loads(call("list_images", queryStringParameters={"user_id": "alice"}))
link = json.loads(call("get_image_presigned_url", pathParameters=ids))
downloaded = urllib.request.urlopen(link["presigned_url"]).read()
documents = {path: len(call("image_api", httpMethod="GET", path=path)) for path in (
    "/livez", "/readyz", "/openapi.json", "/docs", "/docs/start.js", "/docs/swagger-ui-bundle.js",
    "/docs/swagger-ui.css")}
call("delete_image", pathParameters=ids, body=json.dumps({"user_id": "alice"}))
elsewhere = sorted({
    module.__file__ for module in list(sys.modules.values())
    if getattr(module, "__file__", None) and "site-packages" in module.__file__
})
print(json.dumps({
    "seen": seen, "listed": [each["image_id"] for each in listed["images"]] == [form["image_id"]],
    "sdk": "aiobotocore.session" in sys.modules, "same": downloaded == image,
    "documents": documents, "elsewhere": elsewhere,
}))
"""


async def test_each_entry_point_answers_with_the_package_alone(
    folder: Path, stores: Settings
) -> None:
    await provision(stores)
    report = run_alone(folder, stores, WORKFLOW, real_image("image/png").body.hex())
    assert report["seen"] == [
        ["upload_presigned_url", 200],
        ["complete_upload", 200],
        ["list_images", 200],
        ["get_image_presigned_url", 200],
        *[["image_api", 200]] * 7,
        ["delete_image", 200],
    ]
    assert report["listed"]
    assert report["same"]
    assert all(report["documents"].values())
    assert report["documents"]["/docs/swagger-ui-bundle.js"] > 1_000_000
    assert not report["sdk"]
    assert report["elsewhere"] == []


async def test_where_the_environment_does_not_say_all_the_sdk_is_there_to_be_asked(
    folder: Path, stores: Settings
) -> None:
    await provision(stores)
    # What decides is that Lambda sets no such variable; what it says is no matter.
    odd = "import os, sys\nos.environ['AWS_MAX_ATTEMPTS'] = '3'\n"
    report = run_alone(folder, stores, odd + WORKFLOW, real_image("image/png").body.hex())
    assert {status for _, status in report["seen"]} == {200}
    assert report["sdk"]
    assert report["elsewhere"] == []


def run_alone(folder: Path, stores: Settings, script: str, *arguments: str) -> Any:
    """Run a script that can import the folder and the standard library, and nothing else."""
    finished = subprocess.run(
        [sys.executable, "-S", "-s", "-W", "error", "-c", script, *arguments],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={
            "PYTHONPATH": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "AWS_ENDPOINT_URL": str(stores.aws_endpoint_url),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "S3_BUCKET_NAME": stores.s3_bucket_name,
            "DYNAMODB_TABLE_NAME": stores.dynamodb_table_name,
        },
    )
    assert finished.returncode == 0, finished.stderr
    # Log and metric lines come before it.
    return json.loads(finished.stdout.splitlines()[-1])
