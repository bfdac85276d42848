"""What Lambda's package holds, and what stays out with the reason.

Our own part is whatever the entry points reach by their import statements, so nothing of the other
door can slip in. Of other people's packages it is code and the few data files that are read.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from importlib.metadata import requires
from importlib.util import find_spec
from pathlib import Path

ENTRY_MODULE = "lambda_bridge.handler"
_OWN_PACKAGES = ("lambda_bridge", "service")
_OWN_DATA = ("service/docs/*.html", "service/docs/*.js")
_REQUIREMENT = re.compile(r'([A-Za-z0-9._-]+)[^;]*(?:;\s*extra\s*==\s*["\'](\w+)["\'])?')

LEFT_OUT = {
    "click": "the command line",
    "jinja2": "renders swagger_ui's own page, which is not served",
    "markupsafe": "jinja2 needs it",
    "prometheus-client": "Lambda's metrics are log lines; nobody could scrape it",
    "pyyaml": "reads templates, on the way to Lambda",
    "rich": "tables and progress bars of the command line",
    "markdown-it-py": "rich needs it",
    "mdurl": "markdown-it-py needs it",
    "pygments": "rich needs it",
}
"""Distributions that are required, or required by what is required, and why Lambda has no use."""

FOR_TOKENS = {
    "joserfc": "checks tokens",
    "cryptography": "joserfc needs it; as large as all the rest",
    "cffi": "cryptography needs it",
    "pycparser": "cffi needs it",
}
"""What only a service with AUTH_MODE=jwt needs, so that every other one starts without it."""

_FILES_LEFT_OUT = (
    "*/tests/*",
    "bin/*",
    "test/*",  # swagger-ui-py installs its tests under this name
    "swagger_ui/*.py",  # its two assets are all that is served; a folder needs no code for that
    "aiohttp/_websocket/*.so",  # compiled twins of Python modules; no WebSocket is spoken here
    "aiohttp/web*.py",  # the server
    "aiohttp/pytest_plugin.py",
    "aiohttp/test_utils.py",
    "multidict/_testcapi*",
    "aws_lambda_powertools/utilities/*",  # but for the data classes, below
)
_FILES_KEPT = (
    "*.py",
    "*.so",
    # Amazon Inspector finds the packages of a function, and their flaws, by this file.
    "*.dist-info/METADATA",
    "*.dist-info/LICEN[CS]E*",
    "*.dist-info/licenses/*",
    "botocore/cacert.pem",
    # Read by botocore where it has to be asked where S3 and DynamoDB are.
    "botocore/data/endpoints.json",
    "botocore/data/partitions.json",
    "botocore/data/sdk-default-configuration.json",
    "botocore/data/s3/2006-03-01/endpoint-rule-set-1.json.gz",
    "botocore/data/dynamodb/2012-08-10/endpoint-rule-set-1.json.gz",
    "swagger_ui/static/swagger-ui-bundle.js",
    "swagger_ui/static/swagger-ui.css",
)
_KEPT_AFTER_ALL = (
    "aws_lambda_powertools/utilities/__init__.py",
    "aws_lambda_powertools/utilities/data_classes/*",
    "aws_lambda_powertools/utilities/jmespath_utils/*",
)
_NEVER = ("*/__pycache__/*",)


def is_kept(path: str) -> bool:
    """Whether a file of an installed package goes to Lambda. `path` is relative, with slashes."""

    def matches(patterns: tuple[str, ...]) -> bool:
        return any(fnmatchcase(path, pattern) for pattern in patterns)

    if matches(_NEVER) or not matches(_FILES_KEPT):
        return False
    return matches(_KEPT_AFTER_ALL) or not matches(_FILES_LEFT_OUT)


def left_out(*, tokens: bool) -> dict[str, str]:
    """Distributions that stay out, and why; `tokens` is whether the service checks any."""
    return LEFT_OUT if tokens else LEFT_OUT | FOR_TOKENS


def requirements(*, tokens: bool) -> list[str]:
    """The names of the distributions that the Lambda door requires; versions are constraints."""
    unused = left_out(tokens=tokens)
    names = []
    for line in requires("mont-image-service") or ():
        match = _REQUIREMENT.match(line)
        assert match is not None, line
        if match[2] in {None, "lambda"} and match[1].lower() not in unused:
            names.append(match[1])
    return names


def own_files() -> Iterator[tuple[str, Path]]:
    """Our own files: where each goes in the package, and where it is."""
    homes = {name: _home(name) for name in _OWN_PACKAGES}
    modules: dict[str, Path] = {}
    _reach(ENTRY_MODULE, homes, modules)
    files = {_place(path, homes): path for path in modules.values()}
    for pattern in _OWN_DATA:
        name, _, rest = pattern.partition("/")
        files |= {_place(path, homes): path for path in homes[name].glob(rest)}
    yield from sorted(files.items())


def _home(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def _place(path: Path, homes: dict[str, Path]) -> str:
    name, home = next(each for each in homes.items() if path.is_relative_to(each[1]))
    return f"{name}/{path.relative_to(home).as_posix()}"


def _reach(module: str, homes: dict[str, Path], found: dict[str, Path]) -> None:
    """Add a module, the packages around it and all that they import, wherever they do."""
    if module in found or (path := _source(module, homes)) is None:
        return
    found[module] = path
    if parent := module.rpartition(".")[0]:
        _reach(parent, homes, found)
    for name in _imported(path):
        _reach(name, homes, found)


def _source(module: str, homes: dict[str, Path]) -> Path | None:
    package, *rest = module.split(".")
    if package not in homes:
        return None
    path = homes[package].joinpath(*rest)
    for candidate in (path / "__init__.py", path.with_suffix(".py")):
        if candidate.is_file():
            return candidate
    return None


def _imported(path: Path) -> Iterator[str]:
    """Names that may be modules; `from a import b` tells not whether b is one."""
    for node in ast.walk(ast.parse(path.read_bytes(), path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
