"""What the operating system knows of the processes that serve: CPU, memory, open files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from prometheus_client import ProcessCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


class WorkerProcesses(Collector):
    """Every worker's process metrics, as any of them can read them, told apart by `pid`.

    Who they are is told by the files of the metrics that they share: each keeps one while it lives.
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._asked = ""
        self._one = ProcessCollector(pid=lambda: self._asked, registry=None)

    def collect(self) -> Iterable[Metric]:
        """Each metric once, with one sample for each worker."""
        together: dict[str, Metric] = {}
        for process_id in self._ids():
            self._asked = process_id
            for metric in self._one.collect():
                whole = together.setdefault(
                    metric.name, Metric(metric.name, metric.documentation, metric.type)
                )
                for sample in metric.samples:
                    whole.add_sample(
                        sample.name, {**sample.labels, "pid": process_id}, sample.value
                    )
        return together.values()

    def _ids(self) -> Iterator[str]:
        for file in sorted(self._folder.glob("gauge_livesum_*.db")):
            yield file.stem.rpartition("_")[2]
