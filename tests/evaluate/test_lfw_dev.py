"""The published figure, again, on two of its ten folds: the whole pipeline on real photos."""

from pathlib import Path

import pytest

from vultus.detect import load_detector
from vultus.embed import load_embedder
from vultus.evaluate import embed_images, evaluate_pairs, read_pairs

FOLDS = 2


@pytest.mark.slow
def test_two_folds_of_the_development_set_keep_their_accuracy(shared: Path, tmp_path: Path) -> None:
    folder = shared / "data" / "lfw-dev"
    lines = (folder / "pairs.txt").read_text(encoding="utf-8").splitlines()
    (tmp_path / "pairs.txt").write_text(
        "\n".join([f"{FOLDS}\t100", *lines[1 : 1 + FOLDS * 200]]), encoding="utf-8"
    )
    pairs = read_pairs(tmp_path / "pairs.txt")
    embedded = embed_images(
        pairs.find_images(folder / "images"), detector=load_detector(), embedder=load_embedder()
    )
    result = evaluate_pairs(pairs, embedded)
    assert result.without_face == ()
    assert (result.verification.n_genuine, result.verification.n_impostors) == (200, 200)
    assert result.verification.accuracy >= 0.985  # 99.5 % over all ten folds; one fold has 200 pairs
    assert result.verification.equal_error.rate <= 0.015
