"""`vultus doctor`: what is installed here, what truly runs, and whether the numbers are right."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vultus import __version__
from vultus.cli import options
from vultus.cli.output import print_json, print_table

if TYPE_CHECKING:
    from vultus.runtime import RuntimeChoice

UNHEALTHY = 1


def doctor(
    provider: Annotated[
        str, typer.Option("--provider", help="The ONNX Runtime execution provider to try.")
    ] = "CPUExecutionProvider",
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Check this installation: versions, provider, threads, weights, and the numbers of a reference face.

    Exits with 0 if everything is as it should be, and with 1 if not.

    Example: vultus doctor

    Example: vultus doctor --provider CUDAExecutionProvider
    """
    from vultus.pipeline.self_check import check_installation
    from vultus.runtime import choose_runtime
    from vultus.runtime.device import machine
    from vultus.weights.catalog import CATALOG
    from vultus.weights.environment import weights_folder
    from vultus.weights.store import is_present

    checks = check_installation(provider=provider, threads=threads)
    facts = {"vultus": __version__} | asdict(machine())
    facts |= {
        "threads": threads or "one per physical core (ONNX Runtime's default)",
        "runtime, one photo": _told(choose_runtime("auto", providers=[provider], images=1)),
        "runtime, many photos": _told(choose_runtime("auto", providers=[provider])),
        "weights folder": str(weights_folder()),
        "weights found": [name for name in CATALOG if is_present(name)],
    }
    is_healthy = all(check.is_ok for check in checks)
    if as_json:
        print_json({"is_healthy": is_healthy, "checks": [asdict(check) for check in checks], "facts": facts})
    else:
        _print_report(facts, checks)
    raise typer.Exit(0 if is_healthy else UNHEALTHY)


def _told(choice: RuntimeChoice) -> str:
    return f"{choice.runtime}: {choice.reason}"


def _print_report(facts: dict[str, Any], checks: list[Any]) -> None:
    lines = [{"fact": key, "value": _in_words(value)} for key, value in facts.items()]
    print_table(lines, columns={"fact": "installation", "value": ""})
    results = [
        {"check": one.name, "verdict": "ok" if one.is_ok else "WRONG", "detail": one.detail} for one in checks
    ]
    print_table(results, columns={"check": "check", "verdict": "verdict", "detail": "finding"})


def _in_words(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
