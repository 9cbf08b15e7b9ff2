"""Two sets of face crops as one: those of the first, then those of the second."""

import numpy as np

from vultus.training.data.identities import UNLABELLED, IdentityIndex, IdentitySet, digest
from vultus.types import Image


class JoinedFaces:
    """Two sets, in which people of one name are one person.

    Args:
        first: its crops are 0 .. len(first) - 1, and its people keep their numbers.
        second: its crops come after them, people who are only here after those of the first.

    Attributes:
        identity_index: (N,) whose face each crop shows, -1 where that is not known.
        names: (C,) the people of both.
    """

    def __init__(self, first: IdentitySet, second: IdentitySet) -> None:
        self._first, self._second = first, second
        self.names = tuple(dict.fromkeys([*first.names, *second.names]))
        number = {name: place for place, name in enumerate(self.names)}
        new = np.array(
            [number[name] for name in second.names] + [UNLABELLED], np.int64
        )  # last: where -1 looks
        self.identity_index: IdentityIndex = np.concatenate(
            [first.identity_index, new[second.identity_index]]
        )

    @property
    def fingerprint(self) -> str:
        """Of both."""
        return digest([self._first.fingerprint, self._second.fingerprint])

    def __len__(self) -> int:
        return len(self._first) + len(self._second)

    def crop(self, index: int) -> Image:
        """(H, W, 3) uint8, RGB."""
        count = len(self._first)
        return self._first.crop(index) if index < count else self._second.crop(index - count)
