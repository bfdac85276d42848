"""What each call takes of the stores, as counted by `tests/load/units.py`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class CallUnits:
    """One call on average.

    Units of DynamoDB, requests to S3 (`s3_puts` are PUT, COPY and POST, `s3_gets` GET and HEAD),
    times that it waits for either store, bytes of its answer.
    """

    read_units: float
    write_units: float
    s3_puts: float
    s3_gets: float
    dynamodb_waits: float
    s3_waits: float
    answer_bytes: float

    def plus(self, more: Mapping[str, float]) -> CallUnits:
        """The same with these units more."""
        return replace(self, **{name: getattr(self, name) + each for name, each in more.items()})


@dataclass(frozen=True, slots=True)
class Units:
    """All calls, and the bytes that one image's record takes in the table and its indexes.

    `extras` are what calls take more where something is turned on, by its name.
    """

    calls: Mapping[str, CallUnits]
    record_bytes: float
    extras: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)

    def with_extras(self, names: Iterable[str]) -> Units:
        """The units with these turned on."""
        calls = dict(self.calls)
        for extra in names:
            for name, more in self.extras[extra].items():
                calls[name] = calls[name].plus(more)
        return replace(self, calls=calls)


def counted_units() -> Units:
    """What was counted for this version of the service."""
    document = json.loads((files(__package__) / "units.json").read_text("utf-8"))
    calls = {name: CallUnits(**units) for name, units in document["calls"].items()}
    return Units(calls, document["record_bytes"], document["extras"])
