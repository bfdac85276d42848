"""What commands share: settings from the environment, failures as one message."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from typing import Any, TypeVar

import click

from service.settings import Settings, SettingsInvalid, load_settings
from service.telemetry import configure_logging

T = TypeVar("T")


class Failure(click.ClickException):
    """A message for the person at the keyboard, without a traceback."""

    exit_code = 1


def read_settings() -> Settings:
    """The settings in the environment; from here on logs go where they say. Raises Failure."""
    try:
        settings = load_settings(os.environ)
    except SettingsInvalid as error:
        raise Failure(str(error)) from error
    configure_logging(settings.log_level)
    return settings


def is_chosen(variable: str) -> bool:
    """Whether the environment sets this variable, be it to its default."""
    return bool(os.environ.get(variable, "").strip())


def wants_traces() -> bool:
    """Whether the environment says where traces go, in the words of the OpenTelemetry standard."""
    if os.environ.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    where = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    return any(map(os.environ.get, where))


def on_stores(work: Coroutine[Any, Any, T]) -> T:
    """Do work on the stores. Where they fail, say which and how."""
    from service.errors import StoreUnavailable

    try:
        return asyncio.run(work)
    except StoreUnavailable as error:
        raise Failure(f"{error.store}: {error.cause}") from error
