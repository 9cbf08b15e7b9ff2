"""Running a network: sessions, which library and which device truly run them, and why."""

from vultus.runtime.onnx import OnnxSession
from vultus.runtime.opening import RUNTIMES, Runtime, RuntimeChoice, choose_runtime, open_session
from vultus.runtime.openvino import OpenVinoSession

__all__ = [
    "RUNTIMES",
    "OnnxSession",
    "OpenVinoSession",
    "Runtime",
    "RuntimeChoice",
    "choose_runtime",
    "open_session",
]
