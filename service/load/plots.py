"""The plots of a report, as SVG to be put into a page. Fonts are the page's own."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from service.load.results import Result, Step
from service.load.words import percentile_text, time_text

_INK, _FAINT = "#334155", "#e2e8f0"
_BLUE, _AMBER, _RED, _GREEN, _GREY = "#2563eb", "#d97706", "#dc2626", "#059669", "#94a3b8"
_CYCLE = (_BLUE, _AMBER, _GREEN, _RED, "#7c3aed", "#0891b2", "#be185d", "#65a30d", _GREY, "#000")
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _GREY,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": _FAINT,
    "grid.linewidth": 0.8,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
}
_SIZE = (9.2, 3.4)


def latency_over_time(result: Result) -> str:
    """Percentiles of the API's calls, by when they ended; a line between steps."""

    def draw(axes: Axes) -> None:
        moments = [each for step in result.steps for each in step.moments]
        at = [each.at for each in moments]
        for name, color in (("p50", _GREEN), ("p95", _BLUE), ("p99", _RED)):
            values = [getattr(each, name) for each in moments]
            axes.plot(at, [float("nan") if v is None else v for v in values], color, label=name)
        _mark_steps(axes, result.steps)
        _log_times(axes)
        axes.set_xlabel("seconds since the start")
        _legend(axes)

    return _svg("latency", draw)


def percentile_curves(result: Result) -> str:
    """Each call's curve, or of a sweep each step's; every nine takes the same room."""

    def draw(axes: Axes) -> None:
        if result.sweep:
            curves = [(f"{s.rate:.4g}/s", s.everything.latencies) for s in result.steps]
        else:
            curves = [(name, t.latencies) for s in result.steps for name, t in s.calls.items()]
        for (name, figures), color in zip(curves, _CYCLE * 6, strict=False):
            points = figures.curve
            axes.plot(
                [1 / (1 - percentile / 100) for percentile, _ in points],
                [seconds for _, seconds in points],
                color,
                label=name,
            )
        axes.set_xscale("log")
        nines = [0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999]
        axes.set_xticks(
            [1 / (1 - each / 100) for each in nines],
            ["min" if not each else percentile_text(each) for each in nines],
        )
        axes.xaxis.set_minor_locator(NullLocator())
        most = max((figures.count for _, figures in curves), default=1)
        axes.set_xlim(1, max(11, min(10**5, most)))
        _log_times(axes)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))

    return _svg("curve", draw)


def throughput_over_time(result: Result) -> str:
    """What was offered and what was done, by the second."""

    def draw(axes: Axes) -> None:
        moments = [each for step in result.steps for each in step.moments]
        at = [each.at for each in moments]
        for name, color, label in (
            ("offered", _GREY, "due"),
            ("achieved", _BLUE, "done"),
            ("turned_away", _AMBER, "calls turned away"),
            ("errors", _RED, "errors"),
        ):
            values = [getattr(each, name) for each in moments]
            if any(values) or name in ("offered", "achieved"):
                axes.plot(at, values, color, label=label)
        _mark_steps(axes, result.steps)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("seconds since the start")
        axes.set_ylabel("a second")
        _legend(axes)

    return _svg("throughput", draw)


def throughput_against_load(result: Result) -> str:
    """What a sweep found: done against due, the p99 beside it, and the knee."""

    def draw(axes: Axes) -> None:
        steps = sorted(result.steps, key=lambda step: step.rate)
        offered = [step.offered_rate for step in steps]
        axes.plot(offered, offered, color=_GREY, linestyle="--", label="all that was due")
        axes.plot(offered, [step.throughput for step in steps], _BLUE, marker="o", label="done")
        axes.set_xlabel("actions due a second")
        axes.set_ylabel("actions done a second")
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        times = axes.twinx()
        p99 = [step.everything.latencies.at(99.0) for step in steps]
        times.plot(offered, p99, _RED, marker="o", markersize=4, linewidth=1.2, label="p99")
        times.grid(visible=False)
        times.spines["right"].set_visible(True)
        _log_times(times)
        if (knee := result.knee) is not None:
            axes.axvline(knee.offered_rate, color=_GREEN, linewidth=1.2)
            axes.annotate(
                f"knee {knee.rate:.4g}/s",
                (knee.offered_rate, 0.03),
                xycoords=("data", "axes fraction"),
                xytext=(5, 0),
                textcoords="offset points",
                color=_GREEN,
                fontweight="bold",
            )
        _legend(axes, [*axes.get_lines()[:2], *times.get_lines()])

    return _svg("knee", draw)


def _mark_steps(axes: Axes, steps: Sequence[Step]) -> None:
    """Shade what is not measured."""
    for step in steps:
        if step.begin > step.start:
            axes.axvspan(step.start, step.begin, color=_FAINT, alpha=0.7, linewidth=0)


def _legend(axes: Axes, lines: Sequence[Line2D] = ()) -> None:
    """Above the drawing, where it hides nothing."""
    shown = lines or axes.get_lines()
    names = [str(line.get_label()) for line in shown]
    axes.legend(shown, names, loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=len(names))


def _log_times(axes: Axes) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(10, (1.0, 2.0, 5.0), numticks=12))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: time_text(value)))


def _svg(name: str, draw: Callable[[Axes], None]) -> str:
    # Names inside a drawing are made from the salt: two drawings in one page must not share any.
    with rc_context(_STYLE), rc_context({"svg.hashsalt": name}):
        figure = Figure(figsize=_SIZE, layout="constrained")
        draw(figure.add_subplot())
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None}, transparent=True)
    drawing = file.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    # Its size is the page's business.
    return re.sub(r'(<svg [^>]*?) (?:width|height)="[^"]*pt"', r"\1", drawing, count=2)
