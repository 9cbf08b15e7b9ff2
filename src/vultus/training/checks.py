"""What the losses that have no classes, and the mining, ask of their inputs."""

import torch
from torch import Tensor

from vultus.errors import InputError, ShapeError


def check_rows(**named: Tensor) -> None:
    """Refuse tensors that are not the same number of equally long float rows.

    Args:
        named: each expected (N, D) like the first one, floating point, N and D at least 1.

    Raises:
        ShapeError: another shape or dtype, or no row.
    """
    name, first = next(iter(named.items()))
    if first.ndim != 2 or not first.is_floating_point():
        raise ShapeError(
            f"{name} must be floats of shape (N, D), got {first.dtype} of shape {tuple(first.shape)}"
        )
    if first.numel() == 0:
        raise ShapeError(f"{name} is empty, of shape {tuple(first.shape)}: drop such a batch")
    for other_name, other in named.items():
        check_floats(other, tuple(first.shape), other_name)


def check_floats(values: Tensor, shape: tuple[int, ...], name: str) -> None:
    """Refuse anything but floats of that shape.

    Raises:
        ShapeError: another shape or dtype.
    """
    if values.shape != shape or not values.is_floating_point():
        raise ShapeError(
            f"{name} must be floats of shape {shape}, got {values.dtype} of shape {tuple(values.shape)}"
        )


def check_indices(indices: Tensor, shape: tuple[int, ...], name: str) -> None:
    """Refuse anything but int64 of that shape.

    Raises:
        ShapeError: another shape or dtype.
    """
    if indices.shape != shape or indices.dtype != torch.int64:
        raise ShapeError(
            f"{name} must be int64 of shape {shape}, got {indices.dtype} of shape {tuple(indices.shape)}"
        )


def check_mask(mask: Tensor, shape: tuple[int, ...], name: str) -> None:
    """Refuse anything but booleans of that shape: a 0 or 1 does not say which of them is "yes".

    Raises:
        ShapeError: another shape or dtype.
    """
    if mask.shape != shape or mask.dtype != torch.bool:
        raise ShapeError(
            f"{name} must be bool of shape {shape}, got {mask.dtype} of shape {tuple(mask.shape)}"
        )


def check_positive(**named: float) -> None:
    """Refuse knobs that must be above zero.

    Raises:
        InputError: one is not; NaN neither.
    """
    for name, value in named.items():
        if not value > 0:
            raise InputError(f"{name} must be above 0, got {value}")


def check_not_negative(**named: float) -> None:
    """Refuse weights that are below zero.

    Raises:
        InputError: one is; NaN too.
    """
    for name, value in named.items():
        if not value >= 0:
            raise InputError(f"{name} must be at least 0, got {value}")
