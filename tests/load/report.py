"""What `make bench` shows: a table, every number as JSON, and a plot."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.load.bench import Results

TARGETS: Mapping[str, Mapping[str, float]] = {
    "fastapi": {
        "upload-url": 2.3,
        "download-url": 3.0,
        "list": 4.5,
        "complete": 1.8,
        "delete": 2.5,
    },
    "flask": {"upload-url": 3.5, "download-url": 2.5, "list": 3.0},
    "limit": {
        "upload-url": 2.3,
        "download-url": 1.7,
        "list": 2.3,
        "complete": 1.7,
        "delete": 1.7,
    },
}
"""At least so many times the service's CPU for a peer, at most so many times the limit's for us."""

_NAMES = {
    "mont": "Mont",
    "fastapi": "FastAPI + aiobotocore",
    "flask": "Flask + boto3",
    "limit": "limit: bare aiohttp",
}
_COLOURS = {"mont": "#0b6e4f", "fastapi": "#c8553d", "flask": "#d9a441", "limit": "#b8bfc6"}
_PACKAGES = ("aiohttp", "aiobotocore", "botocore", "orjson", "msgspec", "marshmallow")


def document(
    results: Results, exchanges: Mapping[str, Mapping[str, list[str]]], facts: Mapping[str, object]
) -> dict[str, Any]:
    """Every number. The first level of each table is the call, the second the side."""
    cpu = _medians(results, "cpu_us", 1)
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": _machine(),
        **facts,
        "cpu_us": cpu,
        "rps": _medians(results, "rps", 0),
        "p50_ms": _medians(results, "p50_ms", 2),
        "p99_ms": _medians(results, "p99_ms", 2),
        "store_cpu_us": _medians(results, "store_cpu_us", 1),
        "ratios": {call: _ratios(sides) for call, sides in cpu.items()},
        "targets": TARGETS,
        "store_calls": {call: dict(exchanges[call]) for call in cpu},
        "all": {
            call: {side: [asdict(each) for each in runs] for side, runs in sides.items()}
            for call, sides in results.items()
        },
    }


def own_versions() -> dict[str, str]:
    """What the service and the limit run on."""
    found = {name: version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), **found}


def table(numbers: Mapping[str, Any]) -> str:
    """The numbers that matter, for people."""
    lines = [
        f"{numbers['machine']}, {numbers['client']}, {numbers['connections']} connections, "
        f"medians of {numbers['rounds']} rounds in turn",
        "",
        f"{'':14}{'CPU us a request':^36}  {'CPU, times Mont':^17}  {'Mont, times':>11}",
        f"{'call':14}{'mont':>9}{'fastapi':>9}{'flask':>9}{'limit':>9}  "
        f"{'fastapi':>9}{'flask':>8}  {'limit':>11}",
    ]
    for call, cpu in numbers["cpu_us"].items():
        ratios = numbers["ratios"][call]
        lines.append(
            f"{call:14}{cpu['mont']:9.0f}{cpu['fastapi']:9.0f}{cpu['flask']:9.0f}"
            f"{cpu['limit']:9.0f}  {ratios['fastapi']:9.2f}{ratios['flask']:8.2f}  "
            f"{ratios['limit']:11.2f}"
        )
        aims = [TARGETS[side].get(call) for side in ("fastapi", "flask", "limit")]
        shown = [f"{aim:.1f}" if aim else "" for aim in aims]
        lines.append(f"{'  target':50}  {shown[0]:>9}{shown[1]:>8}  {shown[2]:>11}")
    lines += ["", f"{'':14}{'requests/s':^36}  {'p50 / p99 ms':^68}"]
    lines.append(
        f"{'call':14}"
        + "".join(f"{side:>9}" for side in _NAMES)
        + "  "
        + "".join(f"{side:>17}" for side in _NAMES)
    )
    for call, rps in numbers["rps"].items():
        p50, p99 = numbers["p50_ms"][call], numbers["p99_ms"][call]
        times = "".join(f"{p50[side]:>8.1f} /{p99[side]:>7.1f}" for side in _NAMES)
        lines.append(f"{call:14}" + "".join(f"{rps[side]:9.0f}" for side in _NAMES) + "  " + times)
    return "\n".join(lines)


def write(numbers: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write results.json, bench.png and bench.svg there."""
    folder.mkdir(parents=True, exist_ok=True)
    report = folder / "results.json"
    report.write_text(json.dumps(numbers, indent=1) + "\n", "utf-8")
    return [report, *_plotted(numbers, folder)]


def _medians(results: Results, name: str, digits: int) -> dict[str, dict[str, float]]:
    return {
        call: {
            side: round(median(getattr(each, name) for each in runs), digits)
            for side, runs in sides.items()
        }
        for call, sides in results.items()
    }


def _ratios(cpu: Mapping[str, float]) -> dict[str, float]:
    """Peers: their CPU over ours. The limit: ours over its."""
    return {
        "fastapi": round(cpu["fastapi"] / cpu["mont"], 2),
        "flask": round(cpu["flask"] / cpu["mont"], 2),
        "limit": round(cpu["mont"] / cpu["limit"], 2),
    }


def _machine() -> str:
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{model}, {os.cpu_count()} processors"


def _plotted(numbers: Mapping[str, Any], folder: Path) -> list[Path]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    calls = list(numbers["cpu_us"])
    figure = Figure(figsize=(9, 0.9 + 1.1 * len(calls)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    height = 0.8 / len(_NAMES)
    for index, (side, name) in enumerate(_NAMES.items()):
        values = [numbers["cpu_us"][call][side] for call in calls]
        places = [row + (index - 1.5) * height for row in range(len(calls))]
        bars = axes.barh(places, values, height, label=name, color=_COLOURS[side])
        axes.bar_label(bars, [f"{value:,.0f}" for value in values], padding=3, fontsize=8)
    axes.set_yticks(range(len(calls)), calls)
    axes.invert_yaxis()
    axes.margins(x=0.08)
    axes.set_xlabel("processor time for one request, microseconds (less is better)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    paths = [folder / "bench.png", folder / "bench.svg"]
    for path in paths:
        figure.savefig(path, dpi=150)
    return paths
