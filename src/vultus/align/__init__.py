"""Cutting faces out: by five landmarks for the ArcFace family, by box and margin for FaceNet."""

from vultus.align.box_margin import crop_boxes
from vultus.align.five_point import ARCFACE_TEMPLATE, alignable, crop_faces, residuals, template

__all__ = ["ARCFACE_TEMPLATE", "alignable", "crop_boxes", "crop_faces", "residuals", "template"]
