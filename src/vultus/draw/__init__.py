"""Pictures of what was found: boxes, landmarks and names drawn into a copy of the image."""

from vultus.draw.annotate import DETECTED, KNOWN, UNKNOWN, annotate, annotate_recognition
from vultus.draw.shapes import Colour

__all__ = ["DETECTED", "KNOWN", "UNKNOWN", "Colour", "annotate", "annotate_recognition"]
