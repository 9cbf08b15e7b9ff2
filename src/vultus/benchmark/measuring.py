"""One part on one machine: latency, throughput, start, memory, and how near it comes to what is possible."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final

from vultus.benchmark.fresh import Start, measure_start
from vultus.benchmark.networks import work_of_one
from vultus.benchmark.peak import Peak, measure_peak
from vultus.benchmark.subjects import Parts, prepare
from vultus.benchmark.timing import Latency, latency_of, times_of
from vultus.benchmark.work import Work
from vultus.detect import DEFAULT_WEIGHTS
from vultus.embed.loading import read_embedder
from vultus.runtime.device import machine, usable_cores
from vultus.weights.catalog import find

BATCHES: Final = (1, 2, 4, 8, 16, 32)
MAX_SECONDS: Final = 3.0  # for each point of the throughput


@dataclass(frozen=True, slots=True)
class Throughput:
    """Photos (or faces, of an embedder) a second.

    Attributes:
        threads: inside a call.
        batch: how many at once.
        per_second: in the median call.
    """

    threads: int
    batch: int
    per_second: float


@dataclass(frozen=True, slots=True)
class Roofline:
    """What the networks do for one photo (or face), beside what the machine can do.

    Attributes:
        work: what they do.
        peak: what the machine can do, with all threads.
        least_ms: what the work takes at least.
        share_of_peak: multiply-adds a second that were reached at the best batch, as a share of the peak.
    """

    work: Work
    peak: Peak
    least_ms: float
    share_of_peak: float


@dataclass(frozen=True, slots=True)
class Measured:
    """All that was measured.

    Attributes:
        parts: what.
        times_s: of single calls, one photo (or face) each, with all threads.
        latency: their percentiles.
        throughput: by threads and batch.
        start: of a new process.
        roofline: how near to what is possible.
    """

    parts: Parts
    times_s: tuple[float, ...]
    latency: Latency
    throughput: tuple[Throughput, ...]
    start: Start
    roofline: Roofline

    @property
    def best(self) -> Throughput:
        """The best point of the throughput."""
        return max(self.throughput, key=lambda point: point.per_second)

    def fields(self) -> dict[str, Any]:
        """All of it as JSON values, with the machine that it was measured on."""
        return {"machine": asdict(machine())} | asdict(self)


def measure(
    parts: Parts,
    photos: Sequence[bytes],
    *,
    rounds: int = 50,
    batches: Sequence[int] = BATCHES,
    threads: Sequence[int] | None = None,
) -> Measured:
    """Measure one part.

    Args:
        parts: what.
        photos: the bytes of at least one photo.
        rounds: how many single calls are timed.
        batches: how many photos (or faces) at once; each is timed for `MAX_SECONDS` at most.
        threads: inside a call; by default one, and one per core.

    Raises:
        FaceCountError: an embedder is to be measured, and no photo shows a face.
        VultusError: a part cannot be loaded, or a photo cannot be read.
    """
    counts = threads or sorted({1, usable_cores()})
    calls = {count: prepare(parts, photos, threads=count) for count in counts}
    most = calls[max(counts)]
    times_s = times_of(lambda: most(1), rounds=rounds)
    throughput = [
        Throughput(count, batch, _per_second(partial(call, batch), batch))
        for count, call in calls.items()
        for batch in batches
    ]
    best = max(point.per_second for point in throughput)
    return Measured(
        parts,
        tuple(times_s),
        latency_of(times_s),
        tuple(throughput),
        measure_start(parts, photos[0]),
        _roofline(parts, photos[0], threads=max(counts), per_second=best),
    )


def _per_second(call: Callable[[], object], batch: int) -> float:
    return 1e3 * batch / latency_of(times_of(call, rounds=20, max_seconds=MAX_SECONDS)).median_ms


def _roofline(parts: Parts, photo: bytes, *, threads: int, per_second: float) -> Roofline:
    work = work_of_one(parts, photo)
    peak = measure_peak(runtime=parts.runtime, threads=threads, is_bf16_faithful=_is_bf16(parts))
    share = work.multiply_adds * per_second / 1e9 / peak.giga_multiply_adds
    return Roofline(work, peak, peak.least_ms(work), share)


def _is_bf16(parts: Parts) -> bool:
    """Whether the (larger) network of these parts may run in bfloat16, so that the peak is measured alike."""
    if parts.kind != "detector":
        return read_embedder(parts.embedder)[0].is_bf16_faithful
    known = find(str(parts.options.get("weights") or DEFAULT_WEIGHTS.get(parts.detector)))
    return known is not None and known.is_bf16_faithful
