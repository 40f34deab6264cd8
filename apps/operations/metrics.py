"""The figures that Prometheus collects; each stands in the table of `docs/operations/metrics.md`.

Each web process answers for itself, and tells beside that what all of them see of the router.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from apps.router.selectors import (
    NO_VIEW,
    RouterView,
    process_view,
    router_trouble,
    router_view,
)

PREFIX: Final = "motherfluxer_"
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
STATUS_CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx")


class RouterCollector(Collector):
    """Reads the router's view each time it is asked; gives nothing where there is none."""

    def collect(self) -> Iterator[Metric]:
        """Give every figure."""
        try:
            view, own, trouble = router_view(), process_view(), router_trouble()
        except RuntimeError:  # this process does not run the router, or not yet
            return
        # Nothing rather than what was so once; and a counter would seem to begin anew.
        if view is not NO_VIEW and trouble is None:
            yield from _shared(view)
        yield _gauge("links", "Instances whose link ends in this process.", own.links)
        yield _gauge("streams", "Answers under way whose text this process holds.", own.streams)


def _shared(view: RouterView) -> Iterator[Metric]:
    count = len(view.instances)
    yield _gauge("instances_online", "Instances that are connected to the site.", count)
    waiting = [(queue.service_class, queue.waiting) for queue in view.queue]
    words = "Jobs that wait for an instance."
    yield _labelled("queue_waiting", words, "service_class", waiting)
    oldest_s = max((queue.oldest_wait_s or 0.0 for queue in view.queue), default=0.0)
    words = "How long the job that waits longest has been waiting; 0: none waits."
    yield _gauge("queue_oldest_wait_seconds", words, oldest_s)
    words = "How often a standby router took over."
    yield CounterMetricFamily(f"{PREFIX}failovers", words, value=view.failovers)
    words = "Attempts that ended, by how."
    attempts = CounterMetricFamily(f"{PREFIX}attempts", words, labels=["outcome"])
    for outcome, count in view.outcomes.items():
        attempts.add_metric([outcome], count)
    yield attempts


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, words, value=value)


def _labelled(name: str, words: str, label: str, values: Iterable[tuple[str, float]]) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, words, labels=[label])
    for key, value in values:
        family.add_metric([key], value)
    return family


registry: Final = CollectorRegistry()
registry.register(RouterCollector())
ProcessCollector(registry=registry)
_responses: Final = Counter(
    f"{PREFIX}http_responses", "Responses begun.", ["status_class"], registry=registry
)
_by_class: Final = {name: _responses.labels(name) for name in STATUS_CLASSES}


def response_count(status: int) -> None:
    """Count one response."""
    _by_class[f"{status // 100}xx"].inc()


def metrics_text() -> bytes:
    """Return all figures of this moment. Call from the router's event loop."""
    return generate_latest(registry)
