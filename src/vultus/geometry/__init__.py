"""Boxes, anchors and transforms: arithmetic on coordinates, in NumPy."""
