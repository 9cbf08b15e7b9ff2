"""Running a network: sessions, and which device truly runs them."""

from vultus.runtime.onnx import OnnxSession

__all__ = ["OnnxSession"]
