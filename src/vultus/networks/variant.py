"""What a network file says about itself: `VARIANTS`, a mapping from name to `Variant`."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True, slots=True)
class Published:
    """The figures a paper or a public implementation states for a network.

    Attributes:
        params_m: parameters, in millions; None where unpublished.
        gflops: multiply-adds for one input, in 10^9 (one multiply-add counts once); None where unpublished.
        source: where the figures stand, and what they cover.
    """

    params_m: float | None
    gflops: float | None
    source: str


@dataclass(frozen=True, slots=True)
class Variant:
    """One buildable form of a network.

    Attributes:
        build: makes the network with fresh weights, in training mode.
        size_hw: height and width of the input that the figures are for.
        embedding_size: length of the output vector of a recognition network; None for a detector or a trunk.
        pixel_std: what a recognition network's pixels are divided by after 127.5 is taken off.
        image_count: how many image batches `forward` takes (two for a Siamese network).
        published: the figures to stand beside ours.
        note: why ours deviate from the published ones, where they do by more than 2 %.
    """

    build: Callable[[], nn.Module]
    size_hw: tuple[int, int]
    embedding_size: int | None = None
    pixel_std: float = 127.5
    image_count: int = 1
    published: Published | None = None
    note: str = ""
