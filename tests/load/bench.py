"""`make bench`: the service beside two peers and the limit, on canned stores, all in one run.

The measured server has a processor of its own; client and store share another one, which has time
to spare. Sides and calls take turns, so that what else the machine does hits all of them. Processor
time for a request is what to go by: it depends far less on the machine's mood than requests a
second.

Variables: ROUNDS, SECONDS (of one measurement), CALLS (separated by commas), CONNECTIONS.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import click

from tests.load import client, processes, report, sides
from tests.load.calls import CALLS, Call
from tests.load.sides import SIDES, Field, Side

_WARM_UP_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    rounds: int
    seconds: int
    calls: tuple[Call, ...]
    connections: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run of one call on one side. CPU in microseconds a request; the store's for all of it."""

    cpu_us: float
    rps: float
    p50_ms: float
    p99_ms: float
    store_cpu_us: float


Results = dict[str, dict[str, list[Measurement]]]  # call -> side -> one measurement a round


def main() -> None:
    """Measure, print the table, write the numbers and the plot."""
    try:
        plan = plan_of(os.environ)
        sides.install_peers()
        with sides.running_sides() as field:
            _warm_up(field, plan)
            results = _measured(field, plan)
        document = report.document(results, field.exchanges, _facts(plan))
    except (ValueError, client.ClientFailed, processes.ServerFailed) as error:
        raise SystemExit(f"make bench: {error}") from error
    print(report.table(document))
    for path in report.write(document, sides.BUILD):
        print(f"written: {path.relative_to(sides.ROOT)}")


def plan_of(environment: Mapping[str, str]) -> Plan:
    """The plan in these variables. Raises ValueError."""
    names = [name.strip() for name in environment.get("CALLS", "").split(",") if name.strip()]
    if unknown := [name for name in names if name not in CALLS]:
        raise ValueError(f"CALLS knows {', '.join(CALLS)}, but not {', '.join(unknown)}")
    return Plan(
        rounds=_number(environment, "ROUNDS", 7),
        seconds=_number(environment, "SECONDS", 2),
        calls=tuple(CALLS[name] for name in names or CALLS),
        connections=_number(environment, "CONNECTIONS", 32),
    )


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 10_000:
        raise ValueError(f"{name} must be a whole number from 1 to 10000 (it is {text!r})")
    return int(text)


def _warm_up(field: Field, plan: Plan) -> None:
    short = replace(plan, seconds=_WARM_UP_SECONDS)
    for call in plan.calls:
        for side in field.sides.values():
            _measure(field, side, call, short)
    _progress("")


def _measured(field: Field, plan: Plan) -> Results:
    results: Results = {call.name: {name: [] for name in SIDES} for call in plan.calls}
    for number in range(plan.rounds):
        for call in plan.calls:
            for name in _turns(number):
                _progress(f"round {number + 1} of {plan.rounds}: {call.name}, {name}")
                results[call.name][name].append(_measure(field, field.sides[name], call, plan))
    _progress("")
    return results


def _turns(number: int) -> Iterator[str]:
    """Who goes first changes, so that nobody always follows the same other."""
    first = number % len(SIDES)
    yield from (*SIDES[first:], *SIDES[:first])


def _measure(field: Field, side: Side, call: Call, plan: Plan) -> Measurement:
    _, other = processes.processors()
    before, store = processes.cpu_us(side.pid), processes.cpu_us(field.store.pid)
    outcome = client.drive(call, side.port, plan.seconds, plan.connections, other)
    after, stored = processes.settled_cpu_us(side.pid), processes.cpu_us(field.store.pid)
    if outcome.refused or outcome.failed or not outcome.requests:
        raise client.ClientFailed(
            f"{side.name} refused {outcome.refused} of {outcome.requests} requests of {call.name}, "
            f"and {outcome.failed} had no answer: see build/bench/logs"
        )
    # When the client stops, each connection has a request under way, which the server finishes.
    # Left out, they would make the slower servers, which answer fewer, look slower than they are.
    answered = outcome.requests + plan.connections
    return Measurement(
        cpu_us=(after - before) / answered,
        rps=outcome.requests / outcome.seconds,
        p50_ms=outcome.p50_ms,
        p99_ms=outcome.p99_ms,
        store_cpu_us=(stored - store) / answered,
    )


def _facts(plan: Plan) -> dict[str, object]:
    """What the numbers depend on."""
    return {
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        "connections": plan.connections,
        "client": client.name(),
        "processors": processes.processors(),
        "versions": {"service": report.own_versions(), "peers": sides.versions()},
    }


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r\033[K{text}", nl=False, err=True)


if __name__ == "__main__":
    main()
