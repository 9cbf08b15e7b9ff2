"""Who may do what, and who did: keys of the service, doors and their decisions, the log of both.

Import from the modules: `vultus keys` needs no network to be loaded.
"""
