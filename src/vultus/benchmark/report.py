"""What was measured, for people: rows of a table, and a picture."""

from typing import TYPE_CHECKING, Any

from vultus.benchmark.measuring import Measured, Roofline
from vultus.evaluate.figures import COLOURS, Pictures, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def facts(measured: Measured) -> dict[str, str]:
    """The figures that stand alone, each in words."""
    latency, start, roofline = measured.latency, measured.start, measured.roofline
    unit = unit_of(measured)
    best, work, peak = measured.best, roofline.work, roofline.peak
    return {
        "one at a time": f"{latency.median_ms:.1f} ms, the median of {latency.rounds} "
        f"(90 %: {latency.p90_ms:.1f}, 99 %: {latency.p99_ms:.1f}, least: {latency.least_ms:.1f})",
        "best throughput": f"{best.per_second:.0f} {unit}s a second, {best.batch} at a time, "
        f"threads: {best.threads}",
        "start of a process": f"first result after {start.first_result_s:.2f} s, "
        f"loaded after {start.loaded_s:.2f} s",
        "memory": f"{start.resident_mb:.0f} MB",
        f"work of one {unit}": f"{work.multiply_adds / 1e9:.3f} G multiply-adds, "
        f"{work.weight_bytes / 1e6:.1f} MB of weights, {work.map_bytes / 1e6:.1f} MB of maps",
        "this machine": f"{peak.giga_multiply_adds:.0f} G multiply-adds and {peak.gigabytes:.1f} GB a second",
        "roofline": _beside_the_peak(roofline, unit),
    }


def _beside_the_peak(roofline: Roofline, unit: str) -> str:
    share = f"{roofline.share_of_peak:.0%} of the peak"
    if roofline.share_of_peak > 1:
        return f"{share}, which is that of floats: int8 is faster"
    return f"one {unit} takes at least {roofline.least_ms:.2f} ms here; {share} was reached"


def rows(measured: Measured) -> list[dict[str, Any]]:
    """One row per batch, one column per number of threads."""
    batches = dict.fromkeys(point.batch for point in measured.throughput)
    return [
        {"batch": batch}
        | {
            f"threads_{point.threads}": point.per_second
            for point in measured.throughput
            if point.batch == batch
        }
        for batch in batches
    ]


def unit_of(measured: Measured) -> str:
    """What is counted."""
    return "face" if measured.parts.kind == "embedder" else "photo"


def pictures(measured: Measured) -> Pictures:
    """One picture, by its file name."""
    return {f"benchmark-{measured.parts.kind}.png": lambda: _figure(measured)}


def _figure(measured: Measured) -> "Figure":
    parts = measured.parts
    name = parts.embedder if parts.kind == "embedder" else parts.detector
    figure = new_figure(f"{parts.kind} {name}, {parts.runtime}", width=9.6, height=4.2)
    left, right = figure.subplots(1, 2)
    for threads, colour in zip(
        sorted({point.threads for point in measured.throughput}), COLOURS, strict=False
    ):
        points = [point for point in measured.throughput if point.threads == threads]
        left.plot(
            [point.batch for point in points],
            [point.per_second for point in points],
            "o-",
            color=colour,
            label=f"{threads} thread{'s' if threads > 1 else ''}",
        )
    batches = list(dict.fromkeys(point.batch for point in measured.throughput))
    left.set_xscale("log", base=2)
    left.set_xticks(batches, [str(batch) for batch in batches])
    left.set_ylim(0, 1.1 * measured.best.per_second)
    left.set(xlabel="at a time", ylabel=f"{unit_of(measured)}s a second")
    left.legend()
    times_ms = sorted(1e3 * seconds for seconds in measured.times_s)
    right.plot(times_ms, [(i + 1) / len(times_ms) for i in range(len(times_ms))], color=COLOURS[0])
    right.axvline(measured.roofline.least_ms, color=COLOURS[1], linestyle="--", label="roofline")
    right.set_xlim(left=0)
    right.set_ylim(0, 1.02)
    right.set(xlabel="ms, one at a time", ylabel="share of calls")
    right.legend()
    return figure
