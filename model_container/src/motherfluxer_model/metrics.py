"""The figures that Prometheus collects; each stands in the README's table."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, get_args

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from motherfluxer_model import __version__
from motherfluxer_model.core.tally import Histogram
from motherfluxer_model.link import LinkState
from motherfluxer_model.overview import EngineState, Overview
from motherfluxer_wire.fields import FailureCode, FinishReason

PREFIX: Final = "motherfluxer_model_"
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
OUTCOMES: Final[tuple[str, ...]] = (*get_args(FinishReason), *get_args(FailureCode))


class OverviewCollector(Collector):
    """Reads the overview each time it is asked; keeps nothing."""

    def __init__(self, overview: Overview) -> None:
        self._overview = overview

    def collect(self) -> Iterator[Metric]:
        """Give every figure."""
        yield from self._identity()
        yield from self._states()
        yield from self._jobs()
        yield from self._tokens()

    def _identity(self) -> Iterator[Metric]:
        view = self._overview
        device = str(view.engine.hardware.get("device", "")) if view.models else ""
        about = {
            "name": view.options.name,
            "version": __version__,
            "engine": view.options.engine,
            "device": device,
        }
        yield _labelled("info", "Who this is; always 1.", about, [(tuple(about.values()), 1)])
        served = [((model.name, model.revision), 1) for model in view.models]
        yield _labelled("serving", "A model that is served; 1.", ("model", "revision"), served)
        yield _gauge("uptime_seconds", "How long the program has been running.", view.uptime_s)
        memory = [((name,), count) for name, count in view.memory_bytes().items()]
        words = "Resident memory of this process and of the engine's."
        yield _labelled("memory_bytes", words, ("process",), memory)

    def _states(self) -> Iterator[Metric]:
        view = self._overview
        yield _gauge("ready", "1 while a job would be answered.", view.is_ready)
        yield _state("engine_state", "engine", EngineState, view.engine_state)
        words = "How often the engine's process came back."
        yield _counter("engine_restarts", words, view.engine_restarts_count)
        yield _state("link_state", "link", LinkState, view.link_state)
        words = "How often the link to the router came back."
        yield _counter("link_reconnects", words, view.reconnects_count)
        words = "Characters of answers that the router has not confirmed."
        yield _gauge("unacknowledged_chars", words, view.desk.mail.held_chars)

    def _jobs(self) -> Iterator[Metric]:
        desk, tally = self._overview.desk, self._overview.desk.tally
        yield _gauge("slots", "Jobs that can be answered at once.", desk.slots)
        yield _gauge("jobs_running", "Jobs being answered.", len(desk.running))
        words = "Jobs being answered that have no token yet."
        yield _gauge("jobs_waiting", words, tally.waiting_count)
        ended = CounterMetricFamily(PREFIX + "jobs", "Ended jobs.", labels=["outcome"])
        for outcome in OUTCOMES:
            ended.add_metric([outcome], tally.outcomes[outcome])
        yield ended
        yield _histogram("queue_seconds", "Time a job waited in the engine.", tally.queue)
        words = "Time from a job's arrival to its first token."
        yield _histogram("first_token_seconds", words, tally.first_token)
        words = "Time per token after the first."
        yield _histogram("token_gap_seconds", words, tally.token_gap)

    def _tokens(self) -> Iterator[Metric]:
        desk, tally = self._overview.desk, self._overview.desk.tally
        yield _counter("prompt_tokens", "Tokens of prompts.", tally.prompt_tokens)
        words = "Tokens of prompts that need not be computed again."
        yield _counter("cached_tokens", words, tally.cached_tokens)
        yield _counter("output_tokens", "Tokens of answers.", tally.output_tokens)
        words = "Tokens per second over the last ten seconds, all jobs together."
        yield _gauge("tokens_per_second", words, desk.tokens_per_s)


def make_metrics(overview: Overview) -> Callable[[], bytes]:
    """Make what writes the figures of this moment in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(OverviewCollector(overview))
    return lambda: generate_latest(registry)


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, words, value=float(value))


def _counter(name: str, words: str, value: float) -> Metric:
    return CounterMetricFamily(PREFIX + name, words, value=value)


def _labelled(
    name: str, words: str, labels: Iterable[str], rows: Iterable[tuple[tuple[str, ...], float]]
) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, words, labels=list(labels))
    for values, value in rows:
        family.add_metric(list(values), value)
    return family


def _state(name: str, what: str, states: Iterable[Any], present: str) -> Metric:
    rows = [((str(state),), float(state == present)) for state in states]
    return _labelled(name, f"Where the {what} stands: 1 for that state.", ("state",), rows)


def _histogram(name: str, words: str, histogram: Histogram) -> Metric:
    buckets = [
        ("+Inf" if bound == float("inf") else str(bound), count)
        for bound, count in histogram.cumulative()
    ]
    family = HistogramMetricFamily(PREFIX + name, words)
    family.add_metric([], buckets, sum_value=histogram.sum)
    return family
