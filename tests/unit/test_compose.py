"""docker-compose.yml, what it builds and runs, .dockerignore and the settings agree."""

import configparser
import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, fields
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import Settings, load_settings
from service.storage.template import load_template, template_path
from tests.support.pages import PAGES

TOP = Path(__file__).parents[2]
SETTINGS = {each.metadata["name"] for each in fields(Settings)}
CREDENTIALS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
# Credentials and endpoint are fixed where they are used, so that nothing else can get there.
FIXED_IN_HOOK = {"AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
OF_COMPOSE = {"LOCALSTACK_PORT", "DOCKER_SOCKET"}
"""Variables that docker-compose.yml alone knows."""
LOCALSTACK = TOP / "config" / "localstack"
HOOK = LOCALSTACK / "10-mont-deploy.sh"
HEALTH = LOCALSTACK / "health.sh"
COMPOSE_TEXT = (TOP / "docker-compose.yml").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
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


def stages(dockerfile: str = "config/Dockerfile") -> list[list[Instruction]]:
    """A Dockerfile's instructions: what stands before the first FROM, then a list for each."""
    lines = (TOP / dockerfile).read_text("utf-8").splitlines()
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


OF_LOCALSTACK = "config/localstack/Dockerfile"
SCRIPTS = (HOOK, HEALTH)


def in_localstack(name: str) -> list[str]:
    """The arguments of each instruction of this name that LocalStack's image ends with."""
    return [each.arguments for each in stages(OF_LOCALSTACK)[-1] if each.name == name]


def run_script(script: Path, listen: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script of LocalStack's image as if that listened there."""
    return subprocess.run(
        [script],
        check=False,
        env={"PATH": os.environ["PATH"], "GATEWAY_LISTEN": listen, **environment},
        capture_output=True,
        text=True,
        timeout=30,
    )


def stand_in_for_mont(home: Path) -> Path:
    """Put a `mont` there that writes how it is called. Returns the file that it writes to."""
    program = home / "venv" / "bin" / "mont"
    program.parent.mkdir(parents=True)
    program.write_text(
        f'#!/bin/sh\necho "$@" "$AWS_ENDPOINT_URL" "$AWS_ACCESS_KEY_ID" > {home}/called\n'
    )
    program.chmod(0o755)
    return home / "called"


@pytest.fixture
def answering() -> Iterator[str]:
    """Address of a server that answers 200 to LocalStack's health path."""

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/_localstack/health" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Health) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


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


def test_every_variable_of_the_shell_is_a_setting_or_explained() -> None:
    used = set(re.findall(r"\$\{(\w+)", COMPOSE_TEXT))
    assert used <= SETTINGS | OF_COMPOSE
    assert used >= OF_COMPOSE
    header = COMPOSE_TEXT.partition("\nname:")[0]
    page = PAGES["docs/deployment.md"].text
    for name in OF_COMPOSE:
        assert name in header
        assert name in page


def test_every_variable_of_the_server_is_a_setting_or_a_credential() -> None:
    given = set(SERVICES["mont"]["environment"])
    assert given - SETTINGS - CREDENTIALS == set()
    assert given >= {"HOST", "PORT", "AWS_ENDPOINT_URL", "S3_PUBLIC_ENDPOINT_URL"} | CREDENTIALS


def test_every_setting_can_be_given() -> None:
    # The embedded backend is what LocalStack stands in for.
    assert SETTINGS - set(SERVICES["mont"]["environment"]) == {"EMBEDDED_PORT"}


def test_both_doors_have_the_same_settings() -> None:
    shell = {"MAX_FILE_SIZE": "1000", "S3_BUCKET_NAME": "mine", "AUTH_MODE": "api_key"}
    server, functions = (
        {name: value for name, value in environment_of(each, **shell).items() if name in SETTINGS}
        for each in ("mont", "localstack")
    )
    assert shell.items() <= functions.items()
    assert server.items() - functions.items() == {
        ("HOST", "0.0.0.0"),
        ("PORT", "8080"),
        ("AWS_ENDPOINT_URL", "http://localstack:4566"),
    }
    assert functions.items() <= server.items()


def test_the_settings_are_good_as_they_stand() -> None:
    settings = load_settings(environment_of("mont"))
    assert settings.aws_endpoint_url == "http://localstack:4566"
    assert settings.s3_public_endpoint_url == "http://localhost:4566"
    assert settings.host == "0.0.0.0"
    load_settings(environment_of("localstack"))


def test_a_setting_in_the_shell_reaches_the_containers() -> None:
    shell = {"MAX_FILE_SIZE": "1000", "S3_PUBLIC_ENDPOINT_URL": "http://192.168.1.10:4566"}
    for service in SERVICES:
        settings = load_settings(environment_of(service, **shell))
        assert settings.max_file_size == 1000
        assert settings.s3_public_endpoint_url == "http://192.168.1.10:4566"


def test_neither_real_credentials_nor_another_endpoint_reach_the_containers() -> None:
    shell = {
        "HOST": "127.0.0.1",
        "AWS_ENDPOINT_URL": "https://s3.eu-central-1.amazonaws.com",
        "AWS_ACCESS_KEY_ID": "real",
        "AWS_SECRET_ACCESS_KEY": "real",
    }
    for service in SERVICES:
        assert environment_of(service, **shell) == environment_of(service)
    exports = re.findall(r"^export (.*)$", HOOK.read_text("utf-8"), re.MULTILINE)
    fixed = {word.partition("=")[0] for line in exports for word in line.split()}
    assert fixed >= FIXED_IN_HOOK


def test_localstack_takes_no_variable_of_ours_for_one_of_its_own() -> None:
    # Its entry point exports LOCALSTACK_PORT as PORT, which is the server's.
    assert not [name for name in SERVICES["localstack"]["environment"] if name in OF_COMPOSE]


# Addresses and ports


def test_presigned_links_name_what_the_host_reaches_localstack_by() -> None:
    for shell in ({}, {"LOCALSTACK_PORT": "5000"}):
        ((address, outside, inside),) = published("localstack", **shell)
        environment = environment_of("mont", **shell)
        functions = environment_of("localstack", **shell)
        assert functions["S3_PUBLIC_ENDPOINT_URL"] == environment["S3_PUBLIC_ENDPOINT_URL"]
        assert environment["S3_PUBLIC_ENDPOINT_URL"] == f"http://localhost:{outside}"
        assert environment["AWS_ENDPOINT_URL"] == f"http://localstack:{inside}"
        assert address == "127.0.0.1"


def test_the_published_port_is_the_one_listened_on_and_exposed() -> None:
    for shell, wanted in (({}, "8080"), ({"PORT": "9000"}, "9000")):
        ((address, outside, inside),) = published("mont", **shell)
        # One port inside and outside: the log of the server names the one to open.
        assert (address, outside, inside) == ("127.0.0.1", wanted, wanted)
        assert environment_of("mont", **shell)["PORT"] == inside
    assert final("EXPOSE") == ["8080"]
    assert "PORT=8080" in " ".join(final("ENV")).split()
    assert load_settings({}).port == 8080


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
            assert wanted == {"condition": "service_healthy"}
            (dockerfile,) = {SERVICES[target]["build"]["dockerfile"]}
            assert any(each.name == "HEALTHCHECK" for each in stages(dockerfile)[-1])


def test_the_server_starts_on_what_the_deployment_has_made() -> None:
    assert SERVICES["mont"]["depends_on"] == {"localstack": {"condition": "service_healthy"}}


def test_localstack_is_healthy_by_its_images_own_check() -> None:
    assert "healthcheck" not in SERVICES["localstack"]
    (check,) = in_localstack("HEALTHCHECK")
    options, _, command = check.partition("CMD ")
    (copied,) = (each for each in in_localstack("COPY") if HEALTH.name in each)
    assert exec_form(command) == [f"{copied.split()[-1]}{HEALTH.name}"]
    # The check itself waits and decides; one of its refusals is final.
    assert "--retries=1" in options
    assert "--timeout=20m" in options


def test_localstack_runs_the_deployment_when_it_is_ready() -> None:
    (copied,) = (each for each in in_localstack("COPY") if HOOK.name in each)
    assert copied.split()[-2:] == [
        f"config/localstack/{HOOK.name}",
        "/etc/localstack/init/ready.d/",
    ]


@pytest.mark.parametrize("script", [HOOK, HEALTH], ids=lambda path: path.name)
def test_a_script_of_localstacks_can_run(script: Path) -> None:
    assert os.access(script, os.X_OK)
    assert script.read_text("utf-8").startswith("#!/usr/bin/env bash\n")
    subprocess.run(["bash", "-n", script], check=True)
    (copied,) = (each for each in in_localstack("COPY") if script.name in each)
    # Where a checkout has no permissions, as on Windows.
    assert "--chmod=0755" in copied.split()


def test_what_the_scripts_use_is_where_the_image_has_it() -> None:
    text = HOOK.read_text("utf-8")
    (home,) = re.findall(r"MONT_HOME=\$\{MONT_HOME:-(/[\w/]+)\}", text)
    built = " ".join(each.arguments for each in stages(OF_LOCALSTACK)[1] if each.name == "RUN")
    for name in re.findall(r"\$MONT_HOME/([\w./-]+)", text):
        assert f"{home}/{name.removesuffix('/bin/mont')}" in built.split(), name
    assert f"--from=builder {home} {home}" in in_localstack("COPY")
    marks = [re.findall(r"MONT_STATUS:-(\S+)\}", each.read_text("utf-8")) for each in SCRIPTS]
    assert marks == [["/dev/shm/mont-deployment"]] * 2
    assert published("localstack")[0][2] == "4566"
    assert all("BASH_REMATCH[1]:-4566" in each.read_text("utf-8") for each in SCRIPTS)


@pytest.mark.parametrize(("mark", "status"), [("0", 0), ("1", 1)])
def test_the_health_check_says_how_the_deployment_ended(
    mark: str, status: int, tmp_path: Path, answering: str
) -> None:
    (tmp_path / "status").write_text(mark)
    finished = run_script(HEALTH, answering, MONT_STATUS=str(tmp_path / "status"))
    assert finished.returncode == status
    assert ("docker compose logs" in finished.stdout) == (status != 0)


def test_a_deployment_that_fails_says_so_and_leaves_its_mark(tmp_path: Path) -> None:
    mark = tmp_path / "status"
    finished = run_script(
        HOOK, "127.0.0.1:1", MONT_HOME=str(tmp_path / "nowhere"), MONT_STATUS=str(mark)
    )
    assert finished.returncode == 1
    assert "DEPLOYMENT FAILED" in finished.stderr
    assert mark.read_text() == "1\n"


def test_without_lambda_there_are_stores_all_the_same(tmp_path: Path) -> None:
    called = stand_in_for_mont(tmp_path)
    finished = run_script(
        HOOK,
        "127.0.0.1:1",
        MONT_HOME=str(tmp_path),
        MONT_STATUS=str(tmp_path / "status"),
        MONT_DOCKER_SOCKET=environment_of("localstack", DOCKER_SOCKET="/dev/null")[
            "MONT_DOCKER_SOCKET"
        ],
    )
    assert finished.returncode == 0, finished.stderr
    assert called.read_text().split() == ["provision", "http://127.0.0.1:1", "test"]


def test_every_service_that_the_templates_need_is_allowed() -> None:
    allowed = set(SERVICES["localstack"]["environment"]["SERVICES"].split(","))
    text = "".join((TOP / "config" / name).read_text("utf-8") for name in ("data.yaml", "api.yaml"))
    made = {each.lower() for each in re.findall(r"Type: AWS::(\w+)::", text)}
    # SAM's own types become those of API Gateway and Lambda.
    assert made - {"serverless"} <= allowed
    assert allowed >= {"apigateway", "lambda", "cloudformation", "sts", "sqs"}


def test_the_docker_socket_is_localstacks_alone_and_never_made_up() -> None:
    (mount,) = SERVICES["localstack"]["volumes"]
    assert mount["target"] == "/var/run/docker.sock"
    assert mount["bind"] == {"create_host_path": False}
    assert interpolated(mount["source"]) == "/var/run/docker.sock"
    assert interpolated(mount["source"], DOCKER_SOCKET="/dev/null") == "/dev/null"
    assert "volumes" not in SERVICES["mont"]


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


@pytest.mark.parametrize("dockerfile", ["config/Dockerfile", "config/localstack/Dockerfile"])
def test_every_base_is_pinned(dockerfile: str) -> None:
    before, *_ = stages(dockerfile)
    (base,) = (each.arguments for each in before if each.arguments.startswith("BASE="))
    name, colon, tag = base.removeprefix("BASE=").rpartition(":")
    assert name and colon and tag and tag not in {"latest", "stable"}
    assert (name == "localstack/localstack") == ("localstack" in dockerfile)


def test_every_image_is_built_from_this_checkout() -> None:
    for service in SERVICES.values():
        assert service["build"]["context"] == "."
        assert (TOP / service["build"]["dockerfile"]).is_file()
        assert service["image"].endswith(":local")
    assert len({service["image"] for service in SERVICES.values()}) == len(SERVICES)


def test_the_server_writes_nothing_and_gains_nothing() -> None:
    assert SERVICES["mont"]["read_only"] is True
    assert SERVICES["mont"]["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in SERVICES["mont"]["security_opt"]
    assert not {"privileged", "cap_add", "user", "volumes"} & set(SERVICES["mont"])


def test_localstack_gains_nothing_but_the_socket() -> None:
    assert "no-new-privileges:true" in SERVICES["localstack"]["security_opt"]
    assert not {"privileged", "cap_add", "user"} & set(SERVICES["localstack"])


def test_localstacks_image_needs_no_package_index_when_it_starts() -> None:
    builder, image = stages(OF_LOCALSTACK)[1:]
    steps = [each.arguments for each in builder if each.name == "RUN"]
    # What Lambda alone needs is pinned by the checkout's own constraints.
    (packaging,) = [step for step in steps if "-m service package" in step]
    assert "amd64" in packaging and "arm64" in packaging
    assert any("-c constraints.txt" in step for step in steps)
    assert packaging.endswith("pip uninstall --yes pip")
    assert not [each for each in image if each.name == "RUN"]
    # Another would no longer be LocalStack.
    assert not {"ENTRYPOINT", "CMD", "USER", "WORKDIR"} & {each.name for each in image}


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
    assert admitted >= {
        *("README.md", "config/*.yaml", "config/localstack", "constraints.txt", "pyproject.toml")
    }
