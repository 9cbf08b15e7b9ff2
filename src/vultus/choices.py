"""What can be chosen or answered, by name. Apart from the types, so that `vultus --help` needs no NumPy."""

from enum import StrEnum


class FaceChoice(StrEnum):
    """Which face is meant where an image shows several and one is wanted."""

    ONLY = "only"  # several are an error: the safe default
    LARGEST = "largest"
    CENTRAL = "central"


class Answer(StrEnum):
    """The four different answers to "who is this?"."""

    NO_FACE = "no_face"
    UNKNOWN = "unknown"
    UNCERTAIN = "not_enough_evidence"
    KNOWN = "known"
