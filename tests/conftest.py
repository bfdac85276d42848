"""What all suites share: how hypothesis searches, what is dear to make, and who runs what when."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import pytest
from botocore.loaders import create_loader
from hypothesis import settings

from service.embedded import embedded_backend
from tests.e2e.localstack.harness import Endpoint, LocalStackUnavailable, running_localstack
from tests.support.groups import LOCALSTACK, GroupScheduling, group_of, place_of
from tests.support.server import clean_environment
from tests.support.stores import held_open

_DEPLOY_SECONDS = 300

# On a build machine the same examples every time; elsewhere new ones on every run.
_ON_CI = os.environ.get("CI") == "true"
settings.register_profile(
    "mont",
    deadline=None,
    max_examples=100,
    derandomize=_ON_CI,
    database=None if _ON_CI else settings.default.database,
    print_blob=True,
)
settings.load_profile("mont")


# A shell has its background jobs ignore interrupts, and they would pass that on to every server.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def one_loader() -> Iterator[None]:
    """Or each client of the SDK would read all of botocore's data anew."""
    loader = create_loader()
    with patch("botocore.session.create_loader", lambda _: loader):
        yield


@pytest.fixture(scope="session")
def embedded() -> Iterator[str]:
    """The embedded stores, shared: tests name what they create so that they do not meet."""
    with held_open(embedded_backend()) as endpoint:
        yield endpoint


def pytest_configure(config: pytest.Config) -> None:
    """Have groups handed out in the order that tests are collected in."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupScheduling | None:
    """Keep groups together where `--dist loadgroup` asks for it."""
    return GroupScheduling(config, log) if config.getoption("dist") == "loadgroup" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Among several processes, the longest groups first. Raises UsageError for a stray test."""
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        needed = {*item.fixturenames, *filter(_is_text, parameters.values())}  # type: ignore[attr-defined]
        if needed & {"localstack", "gateway"} and group_of(item.nodeid) != LOCALSTACK:
            raise pytest.UsageError(f"{item.nodeid} needs LocalStack: see tests/support/groups.py")
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: place_of(item.nodeid))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


@pytest.fixture(scope="session")
def localstack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """A running LocalStack, shared: tests name what they create so that they do not meet."""
    with ExitStack() as stack:
        workdir = tmp_path_factory.mktemp("localstack")
        try:
            endpoint = stack.enter_context(running_localstack(workdir))
        except LocalStackUnavailable as reason:
            if os.environ.get("CI"):  # there a skip would hide that nothing was tested
                raise
            pytest.skip(f"LocalStack cannot be installed: {reason}")
        yield endpoint


@pytest.fixture(scope="session")
def gateway(localstack: Endpoint) -> str:
    """The base URL of the API, deployed to LocalStack by the command that users deploy with."""
    deployed = subprocess.run(
        [sys.executable, "-m", "service", "deploy", "--platform", "local"],
        env=clean_environment(**localstack.environment()),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_DEPLOY_SECONDS,
        check=False,
    )
    assert deployed.returncode == 0, deployed.stdout
    return deployed.stdout.split()[-1]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of LocalStack's log with a test that failed on it, and where the rest is."""
    report = yield
    endpoint = getattr(item, "funcargs", {}).get("localstack")
    if report.failed and isinstance(endpoint, Endpoint):
        report.sections.append((f"LocalStack: {endpoint.log}", endpoint.last_lines()))
    return report
