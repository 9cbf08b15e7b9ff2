"""One comparison's false match rate, and that of a gallery of many."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vultus.errors import InputError
from vultus.match import expected_fpir, fmr_for_fpir


def test_a_gallery_of_one_is_verification() -> None:
    assert expected_fpir(0.001, gallery_size=1) == pytest.approx(0.001)
    assert fmr_for_fpir(0.01, gallery_size=1) == pytest.approx(0.01)


def test_false_matches_grow_with_the_gallery() -> None:
    assert expected_fpir(1e-4, gallery_size=10) == pytest.approx(1 - (1 - 1e-4) ** 10)
    assert expected_fpir(1e-4, gallery_size=10_000) == pytest.approx(0.6321, abs=1e-4)  # about 1 - 1 / e


def test_an_empty_gallery_matches_nobody() -> None:
    assert expected_fpir(0.5, gallery_size=0) == 0.0


def test_tiny_rates_do_not_cancel_to_zero() -> None:
    assert expected_fpir(1e-18, gallery_size=1000) == pytest.approx(1e-15)
    assert fmr_for_fpir(1e-9, gallery_size=1_000_000) == pytest.approx(1e-15)


@given(st.floats(1e-12, 0.999), st.integers(1, 10**7))
def test_one_is_the_inverse_of_the_other(fpir: float, gallery_size: int) -> None:
    fmr = fmr_for_fpir(fpir, gallery_size=gallery_size)
    assert expected_fpir(fmr, gallery_size=gallery_size) == pytest.approx(fpir, rel=1e-9)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 2.0, float("nan")])
def test_what_is_no_rate_is_refused(rate: float) -> None:
    with pytest.raises(InputError, match=r"\[0, 1\)"):
        expected_fpir(rate, gallery_size=10)
    with pytest.raises(InputError, match=r"\[0, 1\)"):
        fmr_for_fpir(rate, gallery_size=10)


def test_impossible_gallery_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="gallery_size"):
        expected_fpir(0.1, gallery_size=-1)
    with pytest.raises(InputError, match="gallery_size"):
        fmr_for_fpir(0.1, gallery_size=0)
