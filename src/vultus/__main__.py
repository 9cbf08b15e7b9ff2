"""`python -m vultus` is `vultus`."""

from vultus.cli import main

main()
