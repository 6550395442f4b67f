"""What a server counts, for Prometheus."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import prometheus_client as prometheus

if TYPE_CHECKING:
    from dslp.models.predictor import Loaded

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The figures of one server; the process's own memory and time are among them."""

    TYPE = prometheus.CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        """Begin at nothing."""
        self.registry = prometheus.CollectorRegistry()
        prometheus.ProcessCollector(registry=self.registry)
        here = {"registry": self.registry}
        who = ["status", "version", "role"]
        self.requests = prometheus.Counter("dslp_requests", "Requests answered.", who, **here)
        what = "From the request's arrival to its answer."
        self.seconds = prometheus.Histogram(
            "dslp_latency_seconds", what, ["version"], buckets=SECONDS, **here
        )
        what = "Requests being answered."
        self.in_flight = prometheus.Gauge("dslp_in_flight", what, **here)
        what = "1 for what is served."
        self.model = prometheus.Gauge("dslp_model", what, ["role", "version"], **here)
        what = "Whether the registry answers."
        self.registry_up = prometheus.Gauge("dslp_registry_up", what, **here)
        what = "Versions in use that could not be loaded."
        self.failed_switches = prometheus.Counter("dslp_failed_switches", what, **here)
        what = "Predictions that could not be logged."
        self.lost_predictions = prometheus.Counter("dslp_lost_predictions", what, **here)

    def answered(self, status: int, loaded: "Loaded", seconds: float) -> None:
        """Count a request."""
        self.requests.labels(str(status), loaded.version, loaded.role).inc()
        self.seconds.labels(loaded.version).observe(seconds)

    def serving(self, loaded: "Mapping[str, Loaded]") -> None:
        """Say what is served from now on."""
        self.model.clear()
        for role, one in loaded.items():
            self.model.labels(role, one.version).set(1)

    def text(self) -> bytes:
        """All figures in Prometheus' format."""
        return bytes(prometheus.generate_latest(self.registry))
