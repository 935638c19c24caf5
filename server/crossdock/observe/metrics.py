"""Counts calls for Prometheus. Labels are adapters, tools and outcomes: no server, no token."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping

from crossdock import __version__
from crossdock.authoring import CallEvent

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
Gauge = Callable[[], float]


class Metrics:
    """The numbers of one process. `gauges` are asked when somebody looks."""

    def __init__(self, gauges: Mapping[str, tuple[str, Gauge]]) -> None:
        self._gauges = gauges
        self._calls: Counter[tuple[str, str, str]] = Counter()
        self._requests: Counter[str] = Counter()
        self._durations: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}

    def note_call(self, event: CallEvent) -> None:
        """Count a finished call."""
        adapter = event.adapter
        self._calls[adapter, event.tool, event.outcome] += 1
        self._requests[adapter] += event.upstream_requests
        buckets = self._durations.setdefault(adapter, [0] * (len(_BUCKETS) + 1))
        buckets[bisect_left(_BUCKETS, event.seconds)] += 1
        self._seconds[adapter] = self._seconds.get(adapter, 0.0) + event.seconds

    def text(self) -> str:
        """Return the exposition format, version 0.0.4."""
        lines = [
            *_head("crossdock_info", "gauge", "Which crossdock this is."),
            f'crossdock_info{{version="{__version__}"}} 1',
        ]
        for name, (about, gauge) in self._gauges.items():
            kind = "counter" if name.endswith("_total") else "gauge"
            lines += [*_head(name, kind, about), f"{name} {gauge():g}"]
        lines += _head("crossdock_calls_total", "counter", "Finished tool calls.")
        for (adapter, tool, outcome), count in sorted(self._calls.items()):
            labels = f'adapter="{adapter}",tool="{tool}",outcome="{outcome}"'
            lines.append(f"crossdock_calls_total{{{labels}}} {count}")
        lines += _head("crossdock_upstream_requests_total", "counter", "Requests to providers.")
        for adapter, count in sorted(self._requests.items()):
            lines.append(f'crossdock_upstream_requests_total{{adapter="{adapter}"}} {count}')
        lines += _head("crossdock_call_seconds", "histogram", "How long tool calls took.")
        for adapter, buckets in sorted(self._durations.items()):
            lines += self._histogram(adapter, buckets)
        return "\n".join(lines) + "\n"

    def _histogram(self, adapter: str, buckets: list[int]) -> list[str]:
        lines, total = [], 0
        for bound, count in zip((*_BUCKETS, None), buckets, strict=True):
            total += count
            le = "+Inf" if bound is None else f"{bound:g}"
            lines.append(f'crossdock_call_seconds_bucket{{adapter="{adapter}",le="{le}"}} {total}')
        lines.append(
            f'crossdock_call_seconds_sum{{adapter="{adapter}"}} {self._seconds[adapter]:g}'
        )
        lines.append(f'crossdock_call_seconds_count{{adapter="{adapter}"}} {total}')
        return lines


def _head(name: str, kind: str, about: str) -> list[str]:
    return [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]
