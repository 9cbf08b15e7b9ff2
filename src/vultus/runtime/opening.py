"""Which library runs a network, in which precision, and why: decided here once, and told in words.

OpenVINO takes about half a second more to start than ONNX Runtime, and then a fraction of the time per photo.
So "auto" takes OpenVINO where it is installed and more than `REPAID_AFTER_IMAGES` images follow, or it is not
known how many do (a server, a program that calls the library). `vultus benchmark pipeline` measures on the
user's machine after how many photos the start is repaid.

bfloat16 is taken where both hold: the processor multiplies in it (`BF16_UNITS`), without which it gains
nothing; and *these weights* were measured to keep to their fp32 answers on real faces (the
fidelity gate, `benchmarks/fidelity.py`). Networks of one architecture differ there, so nothing is inferred.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

from vultus.errors import InputError
from vultus.runtime import openvino
from vultus.runtime.device import processor
from vultus.runtime.onnx import CPU, OnnxSession
from vultus.runtime.openvino import OpenVinoSession, Precision

Runtime: TypeAlias = Literal["auto", "onnx", "openvino", "openvino-f32"]
AnySession: TypeAlias = OnnxSession | OpenVinoSession

RUNTIMES: Final[tuple[str, ...]] = get_args(Runtime)
REPAID_AFTER_IMAGES: Final = 40
BF16_UNITS: Final = ("amx_bf16", "avx512_bf16")
"""Intel's matrix units; and AVX-512's dot products, which take half of fp32's time on AMD's Zen 4."""


@dataclass(frozen=True, slots=True)
class RuntimeChoice:
    """Which library is to run the networks.

    Attributes:
        runtime: "onnx", "openvino" or "openvino-f32": never "auto".
        reason: why, in words.
    """

    runtime: Runtime
    reason: str


def choose_runtime(
    asked: Runtime = "auto", *, providers: Sequence[str] = (CPU,), images: int | None = None
) -> RuntimeChoice:
    """What "auto" means here and now; what was asked for by name stays.

    Args:
        asked: one of `RUNTIMES`.
        providers: execution providers of ONNX Runtime; any other than its CPU's rules OpenVINO out.
        images: how many images are to come; None where nobody knows, and in a process that lasts.

    Raises:
        InputError: there is no such runtime, or OpenVINO is to run on ONNX Runtime's providers.
    """
    if asked not in RUNTIMES:
        raise InputError(f"unknown runtime {asked!r}; there are {', '.join(RUNTIMES)}")
    is_cpu = tuple(providers) == (CPU,)
    if asked != "auto":
        if asked != "onnx" and not is_cpu:
            raise InputError(f"OpenVINO does not run on {', '.join(providers)}: take runtime='onnx' for that")
        return RuntimeChoice(asked, "asked for")
    if not is_cpu:
        return RuntimeChoice("onnx", f"ONNX Runtime has {', '.join(providers)}")
    if not openvino.is_installed():
        return RuntimeChoice("onnx", "OpenVINO is not installed (pip install 'vultus[openvino]')")
    if images is not None and images <= REPAID_AFTER_IMAGES:
        return RuntimeChoice(
            "onnx",
            f"{images} images are too few to repay the start of OpenVINO (after {REPAID_AFTER_IMAGES})",
        )
    return RuntimeChoice("openvino", "OpenVINO is installed, and there is enough work to repay its start")


def choose_precision(runtime: Runtime, *, is_bf16_faithful: bool) -> Precision:
    """bfloat16 where it gains time and these weights bear it; else fp32."""
    return "bf16" if runtime == "openvino" and is_bf16_faithful and has_bf16_unit() else "f32"


def has_bf16_unit() -> bool:
    """Whether this processor multiplies in bfloat16."""
    return not set(BF16_UNITS).isdisjoint(processor()[1])


def open_session(
    model: Path | bytes,
    *,
    runtime: Runtime = "onnx",
    providers: Sequence[str] = (CPU,),
    threads: int | None = None,
    is_bf16_faithful: bool = False,
    compiled: Path | None = None,
) -> AnySession:
    """A network, ready to run.

    Args:
        model: an ONNX file, or its bytes.
        runtime: which library; "auto" as for work without a known end.
        providers: execution providers of ONNX Runtime in order of preference.
        threads: threads inside one call; None leaves it to the runtime.
        is_bf16_faithful: whether these weights passed the fidelity gate in bfloat16.
        compiled: a folder for compiled networks, where the runtime can use one.

    Raises:
        InputError: there is no such runtime, or `threads` is less than 1.
        MissingExtraError: the runtime is not installed.
        WeightsError: the file or bytes are no usable ONNX graph.
        DeviceError: a provider does not run here.
    """
    chosen = choose_runtime(runtime, providers=providers).runtime
    if chosen == "onnx":
        return OnnxSession(model, providers=providers, threads=threads)
    precision = choose_precision(chosen, is_bf16_faithful=is_bf16_faithful)
    return OpenVinoSession(model, threads=threads, precision=precision, compiled=compiled)
