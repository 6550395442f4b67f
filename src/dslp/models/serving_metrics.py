"""The figures of a server, for Prometheus."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import prometheus_client as prometheus

if TYPE_CHECKING:
    from dslp.models.predictor import Loaded

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The figures of one server; the process's own memory and time are among them."""

    TYPE = prometheus.CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        """Start at zero."""
        self.registry = prometheus.CollectorRegistry()
        prometheus.ProcessCollector(registry=self.registry)
        counter = partial(prometheus.Counter, registry=self.registry)
        gauge = partial(prometheus.Gauge, registry=self.registry)
        labels = ["status", "version", "role"]
        self.requests = counter("dslp_requests", "Requests answered.", labels)
        self.seconds = prometheus.Histogram(
            "dslp_latency_seconds",
            "From the request's arrival to its answer.",
            ["version"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.in_flight = gauge("dslp_in_flight", "Requests being answered.")
        self.model = gauge("dslp_model", "1 for each version that answers.", ["role", "version"])
        self.registry_up = gauge("dslp_registry_up", "Whether the registry answers.")
        self.failed_switches = counter("dslp_failed_switches", "Versions that were not loaded.")
        self.lost_predictions = counter("dslp_lost_predictions", "Predictions not logged.")

    def answered(self, status: int, loaded: "Loaded", seconds: float) -> None:
        """Count a request."""
        self.requests.labels(str(status), loaded.version, loaded.role).inc()
        self.seconds.labels(loaded.version).observe(seconds)

    def serving(self, loaded: "Mapping[str, Loaded]") -> None:
        """Set the versions that answer."""
        self.model.clear()
        for role, one in loaded.items():
            self.model.labels(role, one.version).set(1)

    def text(self) -> bytes:
        """All figures in Prometheus' format."""
        return bytes(prometheus.generate_latest(self.registry))
