"""What the server counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

from lightsr.server.jobs import Job

MEDIA_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Metrics:
    """Counts of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "lightsr_requests",
            "Requests answered, by route, method and status.",
            ("route", "method", "status"),
            registry=self._registry,
        )
        self._jobs = Counter(
            "lightsr_jobs",
            "Pictures, by what became of them.",
            ("outcome",),
            registry=self._registry,
        )
        self._waited = Histogram(
            "lightsr_wait_seconds",
            "Time that pictures waited for a worker.",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._worked = Histogram(
            "lightsr_work_seconds",
            "Time that workers took for pictures that were enlarged.",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._pixels = Counter(
            "lightsr_output_pixels", "Pixels of enlarged pictures.", registry=self._registry
        )
        self._lost = Counter(
            "lightsr_workers_lost", "Workers that ended and were replaced.", registry=self._registry
        )

    def watch(self, name: str, help: str, value: Callable[[], int]) -> None:
        """Show what `value` returns whenever the metrics are asked for."""
        Gauge(name, help, registry=self._registry).set_function(value)

    def request(self, route: str, method: str, status: int) -> None:
        """Count a request; `route` is a template, so that there are few of them."""
        self._requests.labels(route, method, str(status)).inc()

    def job_over(self, job: Job, waited: float) -> None:
        """Count a job that has come to its end, `waited` seconds of which in the queue."""
        outcome = job.problem.kind.slug if job.problem is not None else "done"
        self._jobs.labels(outcome).inc()
        self._waited.observe(waited)
        if job.done is not None and job.plan is not None:
            self._worked.observe(job.elapsed)
            self._pixels.inc(job.plan.after[0] * job.plan.after[1])

    def worker_lost(self) -> None:
        """Count a worker that ended."""
        self._lost.inc()

    def text(self) -> bytes:
        """Return everything in Prometheus's text format."""
        return generate_latest(self._registry)
