"""docker-compose.yml, the Dockerfile, .dockerignore and the settings agree with one another."""

import configparser
import json
import re
from dataclasses import dataclass, fields
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import Settings, load_settings
from service.storage.template import load_template, template_path

TOP = Path(__file__).parents[2]
SETTINGS = {each.metadata["name"] for each in fields(Settings)}
CREDENTIALS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
OURS = ("provision", "mont")
COMPOSE: dict[str, Any] = yaml.safe_load((TOP / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def interpolated(text: str, **shell: str) -> str:
    """`${NAME:-default}` filled in as Compose does, the innermost first."""
    innermost = re.compile(r"\$\{(\w+):-([^${}]*)\}")
    while (filled := innermost.sub(lambda m: shell.get(m[1]) or m[2], text)) != text:
        text = filled
    assert "$" not in text, f"a variable without a default: {text}"
    return text


def environment_of(service: str, **shell: str) -> dict[str, str]:
    """What the container gets; a name without a value comes from the shell, if it is set there."""
    given: dict[str, str | None] = SERVICES[service]["environment"]
    values = {
        name: shell.get(name) if value is None else interpolated(value, **shell)
        for name, value in given.items()
    }
    return {name: value for name, value in values.items() if value is not None}


def published(service: str, **shell: str) -> list[tuple[str, str, str]]:
    """Host address, host port and container port of each published port."""
    return [
        tuple(interpolated(port, **shell).rsplit(":", 2))  # type: ignore[misc]
        for port in SERVICES[service].get("ports", [])
    ]


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


@dataclass(frozen=True, slots=True)
class Instruction:
    name: str
    arguments: str


def stages() -> list[list[Instruction]]:
    """The Dockerfile's instructions: what stands before the first FROM, then a list for each."""
    lines = (TOP / "config" / "Dockerfile").read_text("utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    whole = [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    found: list[list[Instruction]] = [[]]
    for line in whole:
        instruction = Instruction(*line.split(maxsplit=1))
        if instruction.name == "FROM":
            found.append([])
        found[-1].append(instruction)
    return found


def final(name: str) -> list[str]:
    """The arguments of each instruction of this name in the stage that becomes the image."""
    return [each.arguments for each in stages()[-1] if each.name == name]


def exec_form(arguments: str) -> list[str]:
    command = json.loads(arguments)
    assert all(isinstance(word, str) for word in command)
    return list(command)


def health_check() -> tuple[str, list[str]]:
    """The options of the image's health check, and its command."""
    (arguments,) = final("HEALTHCHECK")
    options, _, command = arguments.partition("CMD ")
    return options, exec_form(command)


# docker-compose.yml and the settings


@pytest.mark.parametrize("service", OURS)
def test_every_variable_of_our_containers_is_a_setting_or_a_credential(service: str) -> None:
    given = set(SERVICES[service]["environment"])
    assert given - SETTINGS - CREDENTIALS == set()
    assert given >= {"HOST", "PORT", "AWS_ENDPOINT_URL", "S3_PUBLIC_ENDPOINT_URL"} | CREDENTIALS


@pytest.mark.parametrize("service", OURS)
def test_every_setting_can_be_given_to_our_containers(service: str) -> None:
    # The embedded backend is what LocalStack stands in for.
    assert SETTINGS - set(SERVICES[service]["environment"]) == {"EMBEDDED_PORT"}


def test_both_containers_have_the_same_settings() -> None:
    assert SERVICES["mont"]["environment"] == SERVICES["provision"]["environment"]


def test_the_settings_are_good_as_they_stand() -> None:
    settings = load_settings(environment_of("mont"))
    assert settings.aws_endpoint_url == "http://localstack:4566"
    assert settings.s3_public_endpoint_url == "http://localhost:4566"
    assert settings.host == "0.0.0.0"


def test_a_setting_in_the_shell_reaches_the_containers() -> None:
    shell = {"MAX_FILE_SIZE": "1000", "S3_PUBLIC_ENDPOINT_URL": "http://192.168.1.10:4566"}
    settings = load_settings(environment_of("mont", **shell))
    assert settings.max_file_size == 1000
    assert settings.s3_public_endpoint_url == "http://192.168.1.10:4566"


def test_neither_real_credentials_nor_another_endpoint_reach_the_containers() -> None:
    shell = {
        "HOST": "127.0.0.1",
        "AWS_ENDPOINT_URL": "https://s3.eu-central-1.amazonaws.com",
        "AWS_ACCESS_KEY_ID": "real",
        "AWS_SECRET_ACCESS_KEY": "real",
    }
    assert environment_of("mont", **shell) == environment_of("mont")


# Addresses and ports


def test_presigned_links_name_what_the_host_reaches_localstack_by() -> None:
    for shell in ({}, {"LOCALSTACK_PORT": "5000"}):
        ((address, outside, inside),) = published("localstack", **shell)
        environment = environment_of("mont", **shell)
        assert environment["S3_PUBLIC_ENDPOINT_URL"] == f"http://localhost:{outside}"
        assert environment["AWS_ENDPOINT_URL"] == f"http://localstack:{inside}"
        assert address == "127.0.0.1"


def test_the_published_port_is_the_one_listened_on_and_exposed() -> None:
    for shell, wanted in (({}, "8080"), ({"PORT": "9000"}, "9000")):
        ((address, outside, inside),) = published("mont", **shell)
        assert (address, outside) == ("127.0.0.1", wanted)
        assert environment_of("mont", **shell)["PORT"] == inside
        assert final("EXPOSE") == [inside]
        assert f"PORT={inside}" in " ".join(final("ENV")).split()
        assert load_settings({}).port == int(inside)


def test_nothing_is_published_beyond_this_machine() -> None:
    addresses = [address for service in SERVICES for address, _, _ in published(service)]
    assert addresses == ["127.0.0.1", "127.0.0.1"]


def test_localstack_admits_the_page_under_both_of_its_addresses() -> None:
    given = SERVICES["localstack"]["environment"]["EXTRA_CORS_ALLOWED_ORIGINS"]
    assert interpolated(given, PORT="9000").split(",") == [
        "http://localhost:9000",
        "http://127.0.0.1:9000",
    ]


def test_the_provisioned_bucket_admits_a_browsers_upload_from_any_page() -> None:
    rules = load_template(template_path(), {}).bucket.cors
    assert any("POST" in rule.methods and "*" in rule.origins for rule in rules)


# Order, health, end


def test_every_dependency_exists_and_can_come_about() -> None:
    for name, service in SERVICES.items():
        for target, wanted in service.get("depends_on", {}).items():
            assert target in SERVICES, f"{name} waits for {target}"
            if wanted["condition"] == "service_healthy":
                assert "test" in SERVICES[target]["healthcheck"]
            else:
                assert wanted["condition"] == "service_completed_successfully"
                # Restarted for ever it would never have completed; never, once would decide.
                assert re.fullmatch(r"on-failure:\d", SERVICES[target]["restart"])


def test_the_service_starts_on_provisioned_stores() -> None:
    assert SERVICES["provision"]["command"] == ["mont", "provision"]
    assert SERVICES["provision"]["depends_on"] == {"localstack": {"condition": "service_healthy"}}
    assert SERVICES["mont"]["depends_on"] == {
        "localstack": {"condition": "service_healthy"},
        "provision": {"condition": "service_completed_successfully"},
    }


def test_localstack_is_healthy_once_the_stores_that_it_is_to_run_are_running() -> None:
    environment = SERVICES["localstack"]["environment"]
    _, command = SERVICES["localstack"]["healthcheck"]["test"]
    ((_, _, port),) = published("localstack")
    assert f"http://127.0.0.1:{port}/_localstack/health" in command
    assert environment["EAGER_SERVICE_LOADING"] == "1", "or none runs before its first request"
    for store in environment["SERVICES"].split(","):
        pattern = re.search(rf"'(\"{store}\"[^']*)'", command)
        assert pattern, f"{store} is not asked about"
        assert re.search(pattern[1], f'{{"services": {{"{store}": "running"}}}}')
        assert not re.search(pattern[1], f'{{"services": {{"{store}": "available"}}}}')


def test_the_service_is_healthy_by_the_images_own_check() -> None:
    health = SERVICES["mont"]["healthcheck"]
    assert "test" not in health and "disable" not in health
    options, command = health_check()
    assert command[:2] == ["python", "-c"]
    assert "/readyz" in command[2]
    compile(command[2], "HEALTHCHECK", "exec")
    (patience,) = re.findall(r"timeout=(\d+)\)", command[2])
    (limit,) = re.findall(r"--timeout=(\d+s)", options)
    assert int(patience) < min(seconds(limit), seconds(health["timeout"]))


def test_requests_under_way_may_finish_before_the_container_is_killed() -> None:
    # A handler that hangs is waited for twice: once to end by itself, once to be cancelled.
    assert seconds(SERVICES["mont"]["stop_grace_period"]) > 2 * load_settings({}).shutdown_grace
    assert final("STOPSIGNAL") == ["SIGTERM"]


# What the containers are made of and may do


def test_every_image_is_pinned() -> None:
    images = [service["image"] for service in SERVICES.values()]
    base, *_ = (each.arguments for each in stages()[0] if each.arguments.startswith("BASE="))
    for image in [*images, base.removeprefix("BASE=")]:
        name, colon, tag = image.rpartition(":")
        assert name and colon and tag and tag not in {"latest", "stable"}, image
    assert SERVICES["localstack"]["image"] == "localstack/localstack:4.14.0"


def test_our_containers_are_one_image_built_from_this_checkout() -> None:
    for name in OURS:
        assert SERVICES[name]["build"] == {"context": ".", "dockerfile": "config/Dockerfile"}
    assert SERVICES["mont"]["image"] == SERVICES["provision"]["image"]


@pytest.mark.parametrize("service", OURS)
def test_our_containers_write_nothing_and_gain_nothing(service: str) -> None:
    assert SERVICES[service]["read_only"] is True
    assert SERVICES[service]["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in SERVICES[service]["security_opt"]
    assert not {"privileged", "cap_add", "user", "volumes"} & set(SERVICES[service])


def test_the_image_is_built_in_one_stage_and_runs_in_another() -> None:
    _, builder, image = stages()
    assert builder[0].arguments.endswith(" AS builder")
    (copied,) = final("COPY")
    assert copied.startswith("--from=builder ")
    installs = [each for each in image if re.search(r"\b(pip|apt-get|apk)\b", each.arguments)]
    assert installs == [], "installers belong into the builder"


def test_the_builder_installs_what_is_pinned_before_it_sees_a_source() -> None:
    _, builder, _ = stages()
    steps = [f"{each.name} {each.arguments}" for each in builder]
    (dependencies,) = [index for index, step in enumerate(steps) if "-c constraints.txt" in step]
    before = " ".join(step for step in steps[:dependencies] if step.startswith("COPY"))
    assert before == "COPY constraints.txt setup.cfg ./"
    assert any(step.startswith("COPY . ") for step in steps[dependencies:])
    assert not any(re.search(r"\[(embedded|test|check)\]", step) for step in steps)


def test_the_image_runs_as_a_numbered_user_and_nothing_after_that_as_root() -> None:
    _, _, image = stages()
    (user,) = final("USER")
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user)
    names = [each.name for each in image]
    assert not {"RUN", "COPY", "ADD", "USER"} & set(names[names.index("USER") + 1 :])


def test_the_images_command_serves_and_gets_the_signals_itself() -> None:
    (command,) = final("CMD")
    assert exec_form(command) == ["mont", "serve", "--backend", "aws"]
    assert final("ENTRYPOINT") == []


def test_the_build_sees_what_the_wheel_is_made_of_and_nothing_else() -> None:
    lines = (TOP / ".dockerignore").read_text("utf-8").splitlines()
    everything, *patterns = [line for line in lines if line and not line.startswith("#")]
    assert everything == "*"
    admitted = {pattern.removeprefix("!") for pattern in patterns if pattern.startswith("!")}
    for name in (".git", ".venv", "tests", "build", ".env", "docker-compose.yml"):
        assert not any(fnmatch(name, pattern) for pattern in admitted), name
    assert any(fnmatch("service/__pycache__", each.replace("**/", "*/")) for each in patterns)

    package = configparser.ConfigParser()
    package.read(TOP / "setup.cfg", "utf-8")
    folders = dict(line.split(" = ") for line in package["options"]["package_dir"].split("\n")[1:])
    for name in package["options"]["packages"].split():
        top = folders.get(name, name.split(".")[0])
        assert any(each == top or each.startswith(f"{top}/") for each in admitted), name
    assert admitted >= {"README.md", "config/*.yaml", "constraints.txt", "pyproject.toml"}
