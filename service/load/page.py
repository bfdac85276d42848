"""A run as one HTML file that needs nothing else: no script, no font, no network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources

from service.load.documents import (
    Report,
    as_text,
    cleanup_warnings,
    knee_text,
)
from service.load.mix import S3_CALLS
from service.load.plots import (
    latency_over_time,
    percentile_curves,
    throughput_against_load,
    throughput_over_time,
)
from service.load.results import Step, Tally
from service.load.words import percentile_text, rate_text, share_text, time_text

_COLUMNS = (50.0, 90.0, 95.0, 99.0, 99.9, 99.99)


def as_page(report: Report) -> str:
    """The whole file. Whatever the service said is text in it and nothing else."""
    step = report.result.judged
    body = [_head(report)]
    body += [f'<p class="warning">{escape(each)}</p>' for each in _warnings(report)]
    if step is None:
        body.append(f"<p>{escape(as_text(report))}</p>")
    else:
        body += [_tiles(step), _budgets(report), *_plots(report), _calls(step), _failures(report)]
        if report.result.sweep:
            body.append(_steps(report))
        body.append(_tester(step))
    body += [_settings(report), _notes(report)]
    style = resources.files("service.load").joinpath("page.css").read_text("utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Load test of {escape(report.target)}</title><style>{style}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def _head(report: Report) -> str:
    if report.broken:
        verdict = _pill(f"budgets broken: {len(report.broken)} of {len(report.judged)}", "bad")
    elif report.judged:
        verdict = _pill("budgets kept", "good")
    else:
        verdict = _pill("no budgets")
    interrupted = _pill("interrupted", "bad") if report.result.interrupted else ""
    return (
        f"<header><div><h1>Load test</h1><p>{escape(report.target)}<br>"
        f"<small>{escape(report.started)} UTC, mont {escape(report.version)}</small></p></div>"
        f"<div>{verdict}{interrupted}</div></header>"
    )


def _pill(text: str, kind: str = "") -> str:
    return f'<span class="pill {kind}">{escape(text)}</span> '


def _warnings(report: Report) -> list[str]:
    step = report.result.judged
    return [*(report.warnings(step) if step else []), *cleanup_warnings(report)]


def _tiles(step: Step) -> str:
    everything = step.everything
    share = everything.count or 1
    tiles = [
        ("due", rate_text(step.offered_rate), "actions"),
        ("done", rate_text(step.throughput), f"{share_text(step.achieved)} of what was due"),
        ("p50", time_text(everything.latencies.at(50.0)), "of the API's calls"),
        ("p99", time_text(everything.latencies.at(99.0)), "of the API's calls"),
        ("errors", f"{everything.errors:,}", share_text(everything.errors / share)),
        ("turned away", f"{everything.turned_away:,}", share_text(everything.turned_away / share)),
    ]
    return '<section class="tiles">{}</section>'.format(
        "".join(
            f"<div><h2>{escape(name)}</h2><b>{escape(value)}</b><small>{escape(more)}</small></div>"
            for name, value, more in tiles
        )
    )


def _budgets(report: Report) -> str:
    if not report.judged:
        return ""
    rows = [
        [
            each.budget.text,
            each.measured or "nothing was measured",
            "kept" if each.kept else "broken",
        ]
        for each in report.judged
    ]
    return _section("Budgets", _table(["budget", "measured", ""], rows))


def _plots(report: Report) -> list[str]:
    result = report.result
    plots = []
    if result.sweep:
        plots.append(
            _section("Throughput against offered load", throughput_against_load(result),
                     knee_text(report))
        )  # fmt: skip
    plots += [
        _section(
            "Latency over time",
            latency_over_time(result),
            "Calls of the API, by the moment at which they ended. What is shaded is not measured.",
        ),
        _section(
            "Percentiles",
            percentile_curves(result),
            "All calls of the API, at each rate."
            if result.sweep
            else "Each call, as far as there were enough of them.",
        ),
        _section("Throughput over time", throughput_over_time(result), "Actions a second."),
    ]
    return plots


def _calls(step: Step) -> str:
    rows = [_row(name, tally) for name, tally in step.calls.items()]
    rows.append(_row("all of the API", step.everything))
    whole = [_row(name, tally) for name, tally in step.actions.items() if name not in step.calls]
    head = ["", "count", "errors", "turned away", "mean",
            *map(percentile_text, _COLUMNS), "max"]  # fmt: skip
    tables = _table(head, rows)
    if whole:
        tables += "<h3>Whole actions</h3>" + _table(head, whole)
    return _section(f"Calls at {rate_text(step.rate)}", tables)


def _row(name: str, tally: Tally) -> list[str]:
    figures = tally.latencies
    times = [figures.mean, *map(figures.at, _COLUMNS), figures.most]
    shown = [time_text(each) if figures.count else "-" for each in times]
    label = f"{name} (S3)" if name in S3_CALLS else name
    return [label, f"{tally.count:,}", f"{tally.errors:,}", f"{tally.turned_away:,}", *shown]


def _failures(report: Report) -> str:
    rows = [
        [
            each.name,
            each.call,
            "turned away" if each.turned_away else "error",
            rate_text(step.rate),
            f"{each.count:,}",
        ]
        for step in report.result.steps
        for each in step.failures
    ]
    if not rows:
        return _section("Failures", "<p>None.</p>")
    return _section("Failures", _table(["class", "call", "", "rate", "count"], rows))


def _steps(report: Report) -> str:
    steps = sorted(report.result.steps, key=lambda step: step.rate)
    rows = [
        [
            rate_text(step.rate) + (" (knee)" if step is report.result.knee else ""),
            rate_text(step.offered_rate),
            rate_text(step.throughput),
            share_text(step.achieved),
            time_text(step.everything.latencies.at(50.0)),
            time_text(step.everything.latencies.at(99.0)),
            f"{step.everything.errors:,}",
            f"{step.everything.turned_away:,}",
            "yes" if report.warnings(step) else "",
        ]
        for step in steps
    ]
    head = ["rate", "due", "done", "share", "p50", "p99", "errors", "turned away", "warnings"]
    return _section("Steps", _table(head, rows))


def _tester(step: Step) -> str:
    tester = step.tester
    rows = [
        ["event loop late, p99", time_text(tester.lag.at(99.0))],
        ["requests begun late, p99", time_text(tester.slippage.at(99.0))],
        ["of a processor used", share_text(tester.cpu)],
        ["actions that found every client busy", f"{tester.queued:,}"],
        ["most clients busy at once", f"{tester.most_busy:,}"],
        ["actions that had to make their image first", f"{step.made_up:,}"],
    ]
    return _section("The tester itself", _table(["", ""], rows))


def _settings(report: Report) -> str:
    rows = [[name.replace("_", " "), _setting(value)] for name, value in report.settings.items()]
    cleaned = report.cleaned
    rows.append(["images made and deleted", f"{cleaned.made:,} and {cleaned.deleted:,}"])
    return _section("What was asked for", _table(["", ""], rows))


def _setting(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _notes(report: Report) -> str:
    return (
        '<section class="notes"><h2>How to read it</h2><p>Actions are due on a schedule, whether or'
        " not earlier ones were answered, and the time of the first call of each counts from the"
        " moment at which it was due; that of a further call from the answer before it. So a"
        " service that stalls cannot hide it. Percentiles are of good answers and of those that"
        " never came; errors and refusals that come at once are counted but would only flatter"
        " them. Turned away are answers 429 and 503. Calls of the API leave out the exchanges with"
        " S3, which have rows of their own.</p></section>"
    )


def _section(title: str, content: str, caption: str = "") -> str:
    said = f"<p>{escape(caption)}</p>" if caption else ""
    return f"<section><h2>{escape(title)}</h2>{said}{content}</section>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(each)}</th>" for each in head)
    lines = "".join(
        f'<tr{_class(row)}><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(each)}</td>" for each in row[1:])
        + "</tr>"
        for row in rows
    )
    header = f"<thead><tr>{top}</tr></thead>" if any(head) else ""
    return f'<div class="scroll"><table>{header}<tbody>{lines}</tbody></table></div>'


def _class(row: Sequence[str]) -> str:
    if row[-1] == "broken":
        return ' class="bad"'
    return ' class="whole"' if row[0].startswith("all ") else ""
