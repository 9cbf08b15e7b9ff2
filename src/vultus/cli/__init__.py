"""The command line. Thin: what a library user would want stands further in."""

from vultus.cli.main import app, main

__all__ = ["app", "main"]
