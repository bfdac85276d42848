"""What is said in two places is said in both: errors, endpoints, settings, imports, names."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import get_args

import click
import pytest
from openapi_spec_validator import validate

from service import errors, problems
from service.__main__ import main
from service.commands import COMMANDS
from service.endpoints import ENDPOINTS
from service.openapi import build_document
from service.provisioning import data_parameters
from service.settings import AuthMode, Settings
from service.storage.definitions import KeySchema, TableDefinition
from service.storage.dynamodb import DELETING_INDEX
from service.storage.items import to_item
from service.storage.lists import TIMELINE_INDEX
from service.storage.outbox import DUE_INDEX
from service.storage.template import load_template, template_path
from tests.support.makers import RULES, an_image
from tests.support.pages import PAGES

ROOT = Path(__file__).parents[2]
SERVICE = ROOT / "service"
MODULES = sorted(SERVICE.rglob("*.py"))


# Every domain error has a problem.


def descendants(kind: type[errors.MontError]) -> Iterator[type[errors.MontError]]:
    for each in kind.__subclasses__():
        if each.__module__.startswith("service."):
            yield each
            yield from descendants(each)


def test_every_domain_error_has_a_problem_and_no_other_has() -> None:
    assert set(descendants(errors.MontError)) == set(problems.KINDS)


def test_every_domain_error_is_in_the_tree_at_the_top_of_its_file() -> None:
    drawn = set(re.findall(r"\b[A-Z][a-z]+[A-Za-z]+\b", errors.__doc__ or ""))
    assert {kind.__name__ for kind in problems.KINDS} <= drawn


# Every endpoint is in the OpenAPI document.


@pytest.mark.parametrize("auth_mode", get_args(AuthMode))
def test_every_endpoint_is_in_a_valid_openapi_document_and_no_other_is(auth_mode: AuthMode) -> None:
    document = build_document(ENDPOINTS, RULES, auth_mode)
    validate(document)
    described = {
        (method.upper(), path): operation["operationId"]
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert described == {(each.method, each.path): each.name for each in ENDPOINTS}
    assert len(described) == len(ENDPOINTS)


def test_every_endpoint_is_in_the_readme() -> None:
    readme = PAGES["README.md"].text
    for each in ENDPOINTS:
        assert f"`{each.method} {each.path}`" in readme


# Every setting is in the documentation and in .env.example.


def shown_default(value: object) -> str:
    if value in (None, ""):
        return ""
    return ",".join(value) if isinstance(value, tuple) else str(value)


DEFAULTS = {each.metadata["name"]: shown_default(each.default) for each in fields(Settings)}


def test_every_setting_has_a_row_in_the_table_and_every_row_a_setting() -> None:
    page = PAGES["docs/settings.md"].text
    section = page.partition("| variable | default |")[2].partition("\n\n")[0]
    rows = dict(re.findall(r"^\| `([A-Z0-9_]+)` \| ([^|]*) \|", section, re.MULTILINE))
    assert rows == {name: f"`{value}`" if value else "(none)" for name, value in DEFAULTS.items()}
    for each in fields(Settings):
        assert f"| {each.metadata['meaning']} |" in section


def test_every_setting_has_a_line_in_the_example_and_every_line_a_setting() -> None:
    example = (ROOT / ".env.example").read_text("utf-8")
    lines = dict(re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=(.*)$", example, re.MULTILINE))
    assert lines == DEFAULTS


def test_no_variable_is_read_behind_the_settings_back() -> None:
    for path in MODULES:
        # Bytecode is compiled by other interpreters, which get an environment, not a setting.
        if name_of(path) not in {
            "commands/common.py",
            "commands/deploy.py",
            "deployment/bytecode.py",
        }:
            assert not re.search(r"os\.environ\b(?! *\|)|getenv", path.read_text("utf-8")), path


# The core imports no framework.


def imported_by(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            module = node.module or ""
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return found


def packages_of(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported_by(path)}


def name_of(path: Path) -> str:
    return path.relative_to(SERVICE).as_posix()


IMPORTERS = {
    "aiohttp": (
        "client/",
        "doctor/",
        "load/",
        "web/",
        "serve.py",
        "events/sending.py",
        "storage/clients.py",
        "storage/transport.py",
        "auth/jwks.py",
    ),
    "hdrh": ("load/",),
    "matplotlib": ("load/",),
    "joserfc": ("auth/jwks.py", "auth/jwt.py"),
    "botocore": ("storage/", "deployment/"),
    "aiobotocore": ("storage/", "deployment/"),
    "moto": ("embedded/",),
    "werkzeug": ("embedded/",),
    "aws_lambda_powertools": (),
    "boto3": (),
    "opentelemetry": ("tracing.py",),
    "prometheus_client": ("metrics.py", "processes.py", "sweep_metrics.py"),
    "lambda_bridge": (),
    "tests": (),
}


@pytest.mark.parametrize("package", IMPORTERS)
def test_only_leaves_import_a_framework(package: str) -> None:
    importers = [name_of(path) for path in MODULES if package in packages_of(path)]
    allowed = IMPORTERS[package]
    assert [each for each in importers if not each.startswith(allowed or "\0")] == []
    assert importers or not allowed or package == "werkzeug", "the rule has nothing to watch"


CORE = [
    path
    for path in MODULES
    if name_of(path) in {"model.py", "errors.py", "ports.py"}
    or name_of(path).startswith("operations/")
]


@pytest.mark.parametrize("path", CORE, ids=name_of)
def test_the_core_imports_nothing_but_python_and_itself(path: Path) -> None:
    assert packages_of(path) <= {*sys.stdlib_module_names, "service"}
    edges = ("web", "serve", "pipeline", "endpoints", "schemas", "exchange", "problems", "storage",
             "embedded", "wiring", "settings", "openapi", "documents", "telemetry")  # fmt: skip
    touched = {name.split(".")[1] for name in imported_by(path) if name.startswith("service.")}
    assert touched.isdisjoint(edges)


def test_the_core_is_all_there() -> None:
    assert {name_of(path) for path in CORE} >= {
        "model.py",
        "errors.py",
        "ports.py",
        "operations/uploading.py",
        "operations/images.py",
        "operations/listing.py",
    }


@pytest.mark.parametrize(
    "path", sorted((ROOT / "lambda_bridge").rglob("*.py")), ids=lambda path: path.name
)
def test_the_lambda_door_carries_nothing_of_the_other_door(path: Path) -> None:
    unwanted = {f"service.{name}" for name in ("web", "serve", "embedded", "pages")}
    assert imported_by(path).isdisjoint(unwanted)
    assert packages_of(path).isdisjoint({"aiohttp", "moto"})


# The template's tables and the code's names agree.


def the_table(settings: Settings) -> TableDefinition:
    images, *_ = load_template(template_path(), data_parameters(settings)).tables
    return images


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(
            dynamodb_table_name="Other",
            dynamodb_gsi_name="OtherIndex",
            api_keys_table_name="OtherKeys",
            usage_table_name="OtherUsage",
            events_table_name="OtherEvents",
        ),
    ],
    ids=["defaults", "renamed"],
)
def test_the_templates_table_and_indexes_are_those_of_the_code(settings: Settings) -> None:
    table = the_table(settings)
    assert (table.name, table.key) == (settings.dynamodb_table_name, KeySchema("image_id"))
    assert {index.name: index.key for index in table.indexes} == {
        settings.dynamodb_gsi_name: KeySchema("user_id", "upload_timestamp"),
        TIMELINE_INDEX: KeySchema("timeline_shard", "upload_timestamp"),
        DELETING_INDEX: KeySchema("deleting_shard", "deleting_since"),
    }
    _, keys, usage, events = load_template(template_path(), data_parameters(settings)).tables
    assert (keys.name, keys.key) == (settings.api_keys_table_name, KeySchema("key_hash"))
    assert (usage.name, usage.key) == (settings.usage_table_name, KeySchema("counter"))
    assert (events.name, events.key) == (settings.events_table_name, KeySchema("event_id"))
    assert {index.name: index.key for index in events.indexes} == {
        DUE_INDEX: KeySchema("due_shard", "due_at")
    }


def test_the_templates_defaults_are_the_settings_defaults() -> None:
    untouched = load_template(template_path(), {})
    assert untouched == load_template(template_path(), data_parameters(Settings()))
    assert untouched.bucket.name == Settings().s3_bucket_name


def test_a_record_has_every_key_of_the_lists_that_it_is_in() -> None:
    table, item = the_table(Settings()), to_item(an_image())
    for name in ("image_id", "user_id", "timeline_shard", "upload_timestamp"):
        assert set(item[name]) == {table.attributes[name]}
    # Not on its way out: not in the index of what is.
    assert {"deleting_shard", "deleting_since"}.isdisjoint(item)


# Every command has its module, and says in one place what it is for.


def test_every_command_is_what_the_table_says() -> None:
    modules = {path.stem for path in (ROOT / "service" / "commands").glob("*.py")}
    assert set(COMMANDS) | {"__init__", "bars", "common", "patience", "remote"} == modules
    for name, line in COMMANDS.items():
        command = main.get_command(click.Context(main), name)
        assert command is not None
        assert command.get_short_help_str(limit=200) == line
