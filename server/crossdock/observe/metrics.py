"""Counts calls for Prometheus. Labels are adapters, tools and outcomes: no server, no token."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from crossdock import __version__
from crossdock.authoring import CallEvent

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_BOUNDS = (*(f"{bound:g}" for bound in _BUCKETS), "+Inf")
Gauge = Callable[[], float]


class Metrics(Collector):
    """The numbers of one process. `gauges` are asked when somebody looks.

    A call counts in plain numbers, which cost it a third of what the library's instruments with
    their locks would; the library is told when somebody looks.
    """

    def __init__(self, gauges: Mapping[str, tuple[str, Gauge]]) -> None:
        self._gauges = gauges
        self._calls: Counter[tuple[str, str, str]] = Counter()
        self._requests: Counter[str] = Counter()
        self._durations: defaultdict[str, list[int]] = defaultdict(lambda: [0] * len(_BOUNDS))
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._stalls: Counter[tuple[str, str]] = Counter()
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def note_call(self, event: CallEvent) -> None:
        """Count a finished call."""
        adapter = event.adapter
        self._calls[adapter, event.tool, event.outcome] += 1
        self._requests[adapter] += event.upstream_requests
        self._durations[adapter][bisect_left(_BUCKETS, event.seconds)] += 1
        self._seconds[adapter] += event.seconds

    def note_stall(self, adapter: str, tool: str) -> None:
        """Count a moment in which the event loop did not turn; both are empty outside of calls."""
        self._stalls[adapter, tool] += 1

    def exposition(self) -> bytes:
        """Return the text format, version 0.0.4."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield every family, as prometheus-client asks for them."""
        yield InfoMetricFamily(
            "crossdock", "Which crossdock this is.", value={"version": __version__}
        )
        for name, (about, gauge) in self._gauges.items():
            family = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            yield family(name, about, value=gauge())
        yield self._called()
        yield self._requested()
        yield self._took()
        yield self._stalled()

    def _called(self) -> Metric:
        family = CounterMetricFamily(
            "crossdock_calls", "Finished tool calls.", labels=("adapter", "tool", "outcome")
        )
        for labels, count in sorted(self._calls.items()):
            family.add_metric(labels, count)
        return family

    def _requested(self) -> Metric:
        family = CounterMetricFamily(
            "crossdock_upstream_requests", "Requests to providers.", labels=("adapter",)
        )
        for adapter, count in sorted(self._requests.items()):
            family.add_metric((adapter,), count)
        return family

    def _stalled(self) -> Metric:
        family = CounterMetricFamily(
            "crossdock_loop_stalls",
            "Times that the event loop stood still for a quarter second.",
            labels=("adapter", "tool"),
        )
        for labels, count in sorted(self._stalls.items()):
            family.add_metric(labels, count)
        return family

    def _took(self) -> Metric:
        family = HistogramMetricFamily(
            "crossdock_call_seconds", "How long tool calls took.", labels=("adapter",)
        )
        for adapter, counts in sorted(self._durations.items()):
            buckets = [*zip(_BOUNDS, accumulate(counts), strict=True)]
            family.add_metric((adapter,), buckets, sum_value=self._seconds[adapter])
        return family


def merged(texts: Mapping[str, str]) -> bytes:
    """Put the expositions of several workers together, each series under the label `worker`.

    Under an empty name stands what belongs to no worker.
    """
    heads: dict[str, list[str]] = {}
    series: defaultdict[str, list[str]] = defaultdict(list)
    for worker, text in sorted(texts.items()):
        family = ""
        for line in text.splitlines():
            if line.startswith("# HELP "):
                family = line.split(" ")[2]
                if family not in heads:
                    heads[family] = [line]
            elif line.startswith("# TYPE "):
                if len(heads[family]) == 1:
                    heads[family].append(line)
            else:
                series[family].append(_labelled(line, worker))
    lines = [line for family, head in heads.items() for line in (*head, *series[family])]
    return "\n".join([*lines, ""]).encode()


def _labelled(sample: str, worker: str) -> str:
    if not worker:
        return sample
    name, brace, rest = sample.partition("{")
    if brace:
        return f'{name}{{worker="{worker}",{rest}'
    name, _, value = sample.partition(" ")
    return f'{name}{{worker="{worker}"}} {value}'
