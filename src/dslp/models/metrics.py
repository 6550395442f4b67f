"""What a server counts, for Prometheus."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

if TYPE_CHECKING:
    from dslp.models.predictor import Loaded

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The figures of one server; the process's own memory and time are among them."""

    TYPE = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        """Begin at nothing."""
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        here = {"registry": self.registry}
        self.requests = Counter(
            "dslp_requests", "Requests answered.", ["status", "version", "role"], **here
        )
        self.seconds = Histogram(
            "dslp_latency_seconds",
            "From the request's arrival to its answer.",
            ["version"],
            buckets=SECONDS,
            **here,
        )
        self.in_flight = Gauge("dslp_in_flight", "Requests being answered.", **here)
        self.model = Gauge("dslp_model", "1 for what is served.", ["role", "version"], **here)
        self.registry_up = Gauge("dslp_registry_up", "Whether the registry answers.", **here)
        self.failed_switches = Counter(
            "dslp_failed_switches", "Versions in use that could not be loaded.", **here
        )
        self.lost_predictions = Counter(
            "dslp_lost_predictions", "Predictions that could not be logged.", **here
        )

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
        return bytes(generate_latest(self.registry))
