"""Vultus: detect, align, embed, match and enrol faces."""

__version__ = "0.1.0"
