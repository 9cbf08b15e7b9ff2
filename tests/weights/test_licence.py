"""What --commercial refuses: exactly the weights whose stated terms stand against it."""

from dataclasses import replace

import pytest

from vultus.errors import WeightsError
from vultus.weights.catalog import CATALOG, Licence, entry
from vultus.weights.licence import check_commercial, commercial_obstacle

ALLOWED = {"mtcnn", "mtcnn-lz4", "yunet", "sface", "sface-int8bq", "minifasnet-v2", "minifasnet-v1se"}


def test_exactly_the_weights_without_an_obstacle_pass() -> None:
    assert {name for name, weights in CATALOG.items() if commercial_obstacle(weights) is None} == ALLOWED


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("yolov5n-face", "copyleft"),
        ("arcface-iresnet50-w600k", "non-commercial"),
        ("facenet-inception-resnet-v1-vggface2", "states no licence"),
        ("cosface-sphere20-ms1m", "research only: MS1MV2"),
        ("retinaface-resnet34", "research only: WIDER FACE"),
    ],
)
def test_a_refusal_says_why(name: str, reason: str) -> None:
    with pytest.raises(WeightsError, match=f"{name} is refused for commercial use: .*{reason}"):
        check_commercial(entry(name))


def test_what_is_allowed_raises_nothing() -> None:
    check_commercial(entry("sface"))


def test_terms_that_nobody_has_judged_are_an_obstacle() -> None:
    sface = entry("sface")
    strange = replace(sface, licence=Licence(code="MIT", weights="Beerware", data="ours"))
    assert commercial_obstacle(strange) == "the terms of the weights are: Beerware"
    copyleft_code = replace(sface, licence=Licence(code="AGPL-3.0", weights="MIT", data="ours"))
    assert "copyleft" in str(commercial_obstacle(copyleft_code))


@pytest.mark.parametrize("name", sorted(ALLOWED - {"minifasnet-v2", "minifasnet-v1se"}))
def test_what_is_allowed_carries_a_caution_about_its_data(name: str) -> None:
    assert any("for research" in note for note in entry(name).notes)
