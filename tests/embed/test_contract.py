"""Which embeddings compare: every field that decides the numbers is in the contract, and nothing else is."""

from dataclasses import fields, replace
from typing import Any

import pytest

from vultus.embed import load_embedder
from vultus.embed.contract import contract_of, with_owner
from vultus.errors import WeightsError
from vultus.weights.catalog import BoxMargin, FivePoint, Preprocessing, entry

DEFAULT = entry("slim-sface-vultus")

OTHERWISE: dict[str, Any] = {
    "size_hw": (160, 160),
    "channels": "BGR",
    "mean": (0.0, 0.0, 0.0),
    "std": (1.0, 1.0, 1.0),
    "layout": "NHWC",
    "interpolation": "area",
    "alignment": FivePoint(size_px=113),
    "flip": "sum",
    "normalisation": "none",
}


def test_the_contract_of_the_default_embedder_has_not_changed() -> None:
    """Galleries carry it: a change here turns every gallery away, and has to be meant."""
    assert contract_of(DEFAULT, DEFAULT.preprocessing) == "c4af13b9af14e833"


def test_the_contract_of_the_embedder_that_was_the_default_has_not_changed_either() -> None:
    before = entry("sface-int8bq")
    assert contract_of(before, before.preprocessing) == "9b9422aacb62ca98"


def test_every_field_of_the_preprocessing_is_tried() -> None:
    assert OTHERWISE.keys() == {field.name for field in fields(Preprocessing)}


@pytest.mark.parametrize("field", OTHERWISE)
def test_every_field_of_the_preprocessing_decides(field: str) -> None:
    changed = replace(DEFAULT.preprocessing, **{field: OTHERWISE[field]})
    assert contract_of(DEFAULT, changed) != contract_of(DEFAULT, DEFAULT.preprocessing)


def test_margins_and_kinds_of_alignment_decide() -> None:
    made = {
        contract_of(DEFAULT, replace(DEFAULT.preprocessing, alignment=alignment))
        for alignment in (FivePoint(160), BoxMargin(160), BoxMargin(160, margin_px=14))
    }
    assert len(made) == 3


def test_other_weights_are_another_contract() -> None:
    one, other = entry("sface-int8bq"), entry("sface")
    assert other.preprocessing == one.preprocessing
    assert contract_of(other, other.preprocessing) != contract_of(one, one.preprocessing)


def test_what_only_people_read_decides_nothing() -> None:
    told = replace(DEFAULT, name="other", notes=("new",), min_similarity=0.9, metrics=())
    assert contract_of(told, told.preprocessing) == contract_of(DEFAULT, DEFAULT.preprocessing)


def test_speed_decides_nothing_and_the_flip_test_does() -> None:
    plain = load_embedder(threads=1, batch=3).contract
    assert plain == contract_of(DEFAULT, DEFAULT.preprocessing)
    assert load_embedder(flip=True).contract == contract_of(
        DEFAULT, replace(DEFAULT.preprocessing, flip="sum")
    )


def test_weights_without_a_hash_have_no_contract() -> None:
    nameless = replace(DEFAULT, files=(replace(DEFAULT.files[0], sha256=None),))
    with pytest.raises(WeightsError, match="no published SHA-256"):
        contract_of(nameless, nameless.preprocessing)


def test_a_contract_of_the_catalogue_says_whose_it_is() -> None:
    assert with_owner("c4af13b9af14e833") == "c4af13b9af14e833 (slim-sface-vultus)"
    flipped = contract_of(DEFAULT, replace(DEFAULT.preprocessing, flip="sum"))
    assert with_owner(flipped) == f"{flipped} (slim-sface-vultus with the flip test)"
    assert with_owner("0123456789abcdef") == "0123456789abcdef"
