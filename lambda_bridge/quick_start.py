"""Import this first: it loads the libraries without work that no function here has a use for.

What each saving was measured to save is of a start of 400 ms; `make bench-cold` shows the sum.
Nothing here changes what a library does once loaded, but for one: aiohttp's own default contexts
trust nobody, so that TLS fails where no context of one's own is given. aiobotocore's session always
gives its own, with the authorities of the environment.
"""

from __future__ import annotations

import gc
import importlib
import os
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_compile = re.compile
_END_OF_UNICODE = "\uffff"


class CompiledOnUse:
    """A regular expression that is compiled when something is first asked of it."""

    def __init__(self, pattern: str, flags: int | re.RegexFlag) -> None:
        self._source = pattern, flags

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # asked by the machinery of abstract classes, not by a user
            raise AttributeError(name)
        return getattr(_compile(*self._source), name)


def _compile_narrow(pattern: Any, flags: int | re.RegexFlag = 0) -> Any:
    if isinstance(pattern, str) and _END_OF_UNICODE in pattern:
        return CompiledOnUse(pattern, flags)
    return _compile(pattern, flags)


def _load_nothing(context: ssl.SSLContext, *_: Any) -> None:
    """Stand in for the methods of a context that read the machine's certificate authorities."""


@contextmanager
def _standing_in(owner: Any, name: str, substitute: Callable[..., Any]) -> Iterator[None]:
    original = getattr(owner, name)
    setattr(owner, name, substitute)
    try:
        yield
    finally:
        setattr(owner, name, original)


# Loading makes objects and drops few of them: looking for garbage finds none and takes 50 ms.
gc.disable()

# Whoever calls a store needs connections. Lambda gives more processor time to loading than to a
# first event, and none of it is spent when environments are kept warm. Signing needs none (80 ms).
if not os.environ.get("_HANDLER", "").endswith("upload_presigned_url"):
    # aiohttp reads the authorities twice while it is imported (25 ms).
    with (
        _standing_in(ssl.SSLContext, "load_default_certs", _load_nothing),
        _standing_in(ssl.SSLContext, "set_default_verify_paths", _load_nothing),
    ):
        importlib.import_module("aiohttp")
    importlib.import_module("service.storage.transport")

# marshmallow compiles what an e-mail address is, in every script (20 ms).
with _standing_in(re, "compile", _compile_narrow):
    importlib.import_module("marshmallow")


def loaded() -> None:
    """Collect garbage from now on; what is loaded stays, so nobody looks through it again."""
    gc.freeze()
    gc.enable()
