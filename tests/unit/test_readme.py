"""README and pages name nothing that does not exist, and their examples are ones somebody runs."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import fields

import click
import pytest
import yaml

from service.__main__ import main
from service.settings import Settings
from tests.support.pages import PAGES, ROOT, Page

# What runs an example, by words of it. What needs AWS, Docker or SAM runs as the same command
# with other options; what only sets variables is read by the settings' own tests.
EXAMPLES = "tests/integration/test_readme_examples.py"
PROGRAMS = "tests/client/test_examples.py"
RUN_BY: dict[str, dict[str, str]] = {
    "README.md": {
        "make test": "this very run",
        "# 1. Say what you will upload": "tests/integration/test_server.py",
        "mont upload --recursive": EXAMPLES,
        "from service.client": PROGRAMS,
    },
    "docs/api.md": {"$MONT": EXAMPLES},
    "docs/cli.md": {
        "mont upload": EXAMPLES,
        "mont ls": EXAMPLES,
        "mont get": EXAMPLES,
        "mont tag": EXAMPLES,
        "mont share": EXAMPLES,
        "mont doctor": EXAMPLES,
        "mont openapi": EXAMPLES,
        "mont serve": "tests/integration/test_server.py and test_workers.py, with other options",
    },
    "docs/client.md": {"from service.client": PROGRAMS},
    "docs/cost.md": {"mont cost": EXAMPLES},
    "docs/deployment.md": {
        "docker compose up --build\n": "tests/unit/test_compose.py reads what it does",
        "DOCKER_SOCKET=/dev/null": "tests/unit/test_compose.py reads what it does",
        "aws cloudformation deploy": "tests/e2e deploys the template",
        "docker run": "tests/image/try_dockerfile.sh builds and runs the image",
        "mont deploy ": "tests/conftest.py deploys to LocalStack",
        "sam deploy": "tests/unit/test_api_template.py translates the template as SAM does",
        "aws lambda invoke": "tests/edges asks the functions directly",
    },
    "docs/development.md": {},
    "docs/events.md": {
        "WEBHOOK_SECRET=": "tests/integration/test_events.py sets the same variables",
        "def is_genuine": "tests/unit/test_pages_facts.py",
        "mont events list": EXAMPLES,
    },
    "docs/gallery.md": {"IMGPROXY_KEY=": "tests/unit/test_thumbnails.py sets the same settings"},
    "docs/operations.md": {
        "mont doctor": EXAMPLES,
        "OTEL_EXPORTER_OTLP_ENDPOINT=": "tests/unit/test_tracing.py sets the same variable",
        "mont sweep": EXAMPLES,
    },
    "docs/performance.md": {"mont load http": "tests/integration/test_load.py, with other options"},
    "docs/security.md": {"mont keys create": EXAMPLES},
    "docs/settings.md": {"source .env": "tests/unit/test_pages_facts.py"},
}
EVERY_PAGE = pytest.mark.parametrize("page", PAGES.values(), ids=list(PAGES))
SHELL = [(page, text) for page in PAGES.values() for text in page.examples("sh")]

PLACES = re.compile(
    r"`((?:[\w.-]+/)+[\w.*-]*|[\w*-]+\.(?:cfg|http|js|json|md|py|sh|toml|yaml|yml))`"
)
# Made by commands, prefixes of a bucket, or no places at all.
ELSEWHERE = re.compile(
    r"(?:build|photos|images|uploads)/"
    r"|(?:openapi|cost|prices|results|page|image)\.json$"
    r"|test/test$|application/"
)

OF_OTHERS = {
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "NO_COLOR", "IMGPROXY_USE_S3", "API_ID"),
    *("DOCKER_SOCKET", "LOCALSTACK_PORT"),
    *("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS"),
    *("OTEL_SERVICE_NAME", "OTEL_TRACES_SAMPLER"),
    "TIMELINE_SHARDS",  # of service/storage/lists.py
}
OPTIONS_OF_OTHERS = {
    *("--build", "--env-file"),  # docker compose
    *("--resolve-s3", "--s3-bucket"),  # sam, aws
    *("--door", "--ports"),  # tests/load/profile_calls.py
}


# Examples.


def test_every_page_says_who_runs_its_examples() -> None:
    assert set(RUN_BY) == set(PAGES)


@EVERY_PAGE
def test_every_example_is_run_by_somebody(page: Page) -> None:
    examples = page.examples("sh") + page.examples("python")
    for text in examples:
        found = [words for words in RUN_BY[page.name] if words in text]
        assert found, f"who runs this example of {page.name}? Say so in RUN_BY:\n{text}"
    for words in RUN_BY[page.name]:
        assert any(words in text for text in examples), f"{words} is in no example any more"


def test_whoever_runs_examples_exists() -> None:
    for runner in {each for page in RUN_BY.values() for each in page.values()}:
        place = runner.split(",")[0].split()[0]
        assert runner == "this very run" or (ROOT / place).exists(), runner


@EVERY_PAGE
def test_every_block_is_of_a_language_that_is_checked(page: Page) -> None:
    assert {language for language, _ in page.blocks} <= {"sh", "python", "json", "yaml", "text"}
    # One that is not closed would hide the rest of the page from all of these tests.
    assert "```" not in page.prose
    for text in page.examples("json"):
        json.loads(text)
    for text in page.examples("yaml"):
        yaml.safe_load(text)
    for text in page.examples("python"):
        compile(text, page.name, "exec")


@pytest.mark.parametrize("page, text", SHELL, ids=[text.split("\n")[0][:40] for _, text in SHELL])
def test_a_shell_example_is_sound_bash(page: Page, text: str) -> None:
    done = subprocess.run(
        ["bash", "-n"], input=text, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


# Commands, options, variables, targets.


def known_options(command: click.Command) -> set[str]:
    return {option for each in command.params for option in each.opts + each.secondary_opts}


def commands() -> Iterator[list[str]]:
    """Every `mont ...` of an example or a sentence, as words without its comment."""
    called = re.compile(r"(?<![\w./@-])mont ([a-z]+(?: [^|;)>#]*)?)")
    for page in PAGES.values():
        lines = [line for text in page.examples("sh") for line in text.splitlines()]
        lines += re.findall(r"`([^`\n]*\bmont [a-z][^`\n]*)`", page.prose)
        for line in lines:
            yield from (shlex.split(text.strip()) for text in called.findall(line))


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_a_command_that_is_named_exists_with_its_options(words: list[str]) -> None:
    command: click.Command | None = main
    while words and isinstance(command, click.Group):
        name = words.pop(0)
        if "-" in name[:1]:
            break
        command = command.get_command(click.Context(command), name)
        assert command is not None, name
    assert command is not None
    for word in words:
        option = word.partition("=")[0]
        assert not option.startswith("--") or option in known_options(command) | {"--help"}, word


def every_command(group: click.Group) -> Iterator[click.Command]:
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        yield command
        if isinstance(command, click.Group):
            yield from every_command(command)


def test_every_option_that_is_named_alone_exists() -> None:
    named = {
        option
        for page in PAGES.values()
        for option in re.findall(r"`(--[a-z0-9-]+)[^`]*`", page.prose)
    }
    assert len(named) > 20
    known = {option for command in every_command(main) for option in known_options(command)}
    assert named - known - OPTIONS_OF_OTHERS == set()


def test_every_variable_that_is_named_exists() -> None:
    named = {
        name
        for page in PAGES.values()
        for name in re.findall(r"(?<![\w-])([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?![\w-])", page.text)
    }
    settings = {each.metadata["name"] for each in fields(Settings)}
    variables = {
        str(option.envvar)
        for command in every_command(main)
        for option in command.params
        if option.envvar
    }
    of_templates = {"CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"}
    assert len(named & settings) > 40
    assert named - settings - variables - OF_OTHERS - of_templates == set()


def test_every_target_of_make_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    named = {
        target
        for page in PAGES.values()
        for target in re.findall(r"(?:`|^|\n)make ([a-z-]+)", page.text)
    }
    assert len(named) > 15
    assert [each for each in named if f"\n{each}:" not in makefile] == []


# Places and links.


@EVERY_PAGE
def test_every_file_and_folder_that_is_named_exists(page: Page) -> None:
    named = {each for each in PLACES.findall(page.prose) if not ELSEWHERE.match(each)}
    tops = [ROOT, ROOT / "config", ROOT / "service", ROOT / "service" / "pages"]
    assert [each for each in named if not any(list(top.glob(each)) for top in tops)] == []


@EVERY_PAGE
def test_every_file_and_module_that_a_command_names_exists(page: Page) -> None:
    files = re.findall(r"(?<![\w/])((?:config|lambda_bridge|service|tests)/[\w./-]+)", page.text)
    assert [each for each in files if not (ROOT / each.rstrip(".")).exists()] == []
    modules = re.findall(r"-m ((?:service|tests)[\w.]*)", page.text)
    places = [ROOT / each.replace(".", "/") for each in modules]
    assert [
        each for each in places if not (each.is_dir() or each.with_suffix(".py").exists())
    ] == []


def test_files_are_looked_for() -> None:
    assert len(PLACES.findall(PAGES["docs/development.md"].prose)) > 30


@EVERY_PAGE
def test_every_link_leads_somewhere(page: Page) -> None:
    folder = (ROOT / page.name).parent
    for link in page.links:
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = (folder / file).resolve() if file else ROOT / page.name
        assert target.exists(), link
        if anchor:
            assert anchor in PAGES[target.relative_to(ROOT).as_posix()].anchors, link


def test_every_page_can_be_reached_from_the_readme() -> None:
    linked = {link.partition("#")[0] for link in PAGES["README.md"].links}
    assert set(PAGES) - {"README.md"} - linked == set()


@EVERY_PAGE
def test_no_heading_of_a_page_has_the_same_address_as_another(page: Page) -> None:
    headings = re.findall(r"^#+ .+$", page.prose, re.MULTILINE)
    assert len(page.anchors) == len(headings)
