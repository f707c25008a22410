"""What is counted while the app runs, for Prometheus; knows no applicant."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

__all__ = ["Metrics"]

SECONDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """Counters of one app, in a registry of their own."""

    media_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which says when it began
        self._registry = own = CollectorRegistry()
        ProcessCollector(registry=own)
        served = ("route", "method", "status")
        self._requests = Counter("credit_http_requests", "Requests answered.", served, registry=own)
        self._seconds = Histogram(
            "credit_http_request_seconds", "Seconds to an answer.", ("route",), buckets=SECONDS, registry=own
        )
        self._decisions = Counter("credit_decisions", "Decisions recorded.", ("decision", "channel"), registry=own)
        self._rejects = Counter("credit_rejects", "Rules broken by applications.", ("rule",), registry=own)
        self._overrides = Counter("credit_overrides", "Decisions overridden by people.", ("to",), registry=own)
        self._unrecorded = Counter(
            "credit_ledger_failures", "Decisions withheld because the ledger did not take them.", registry=own
        )
        self._model = Gauge("credit_model_info", "The model in use.", ("model", "version", "digest"), registry=own)
        self._registry_up = Gauge("credit_registry_up", "1 where the last look at it went well.", registry=own)

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def decided(self, decision: str, channel: str) -> None:
        """Count a recorded decision."""
        self._decisions.labels(decision, channel).inc()

    def rejected(self, rule: str) -> None:
        """Count a broken rule of the contract."""
        self._rejects.labels(rule).inc()

    def overridden(self, to: str) -> None:
        """Count an override."""
        self._overrides.labels(to).inc()

    def unrecorded(self) -> None:
        """Count what the ledger did not take."""
        self._unrecorded.inc()

    def text(self, model: tuple[str, int, str] | None, trouble: bool) -> bytes:
        """Write all of it in Prometheus' text format, with the model in use (name, version, digest) if there is one."""
        self._model.clear()
        if model:
            self._model.labels(model[0], str(model[1]), model[2]).set(1)
        self._registry_up.set(0 if trouble else 1)
        return generate_latest(self._registry)
