"""Pictures of what was found: boxes, landmarks and names drawn into a copy of the image."""

from vultus.draw.annotate import DETECTED, KNOWN, UNKNOWN, annotate, annotate_recognition
from vultus.draw.shapes import Colour
from vultus.draw.sketch import MISSED, sketch

__all__ = ["DETECTED", "KNOWN", "MISSED", "UNKNOWN", "Colour", "annotate", "annotate_recognition", "sketch"]
