"""Giving a gallery to another network: complete, resumable, comparable, reversible."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vultus.errors import GalleryError, InputError, ShapeError
from vultus.gallery import SqliteGallery
from vultus.gallery.agreement import Decision, compare
from vultus.gallery.encryption import encrypt, rotate_key
from vultus.gallery.erasure import erase
from vultus.gallery.migrate import crop_from_source, forget, other_contracts, reembed, switch
from vultus.image import save_image
from vultus.types import Calibration, Crops, Detections, Embeddings, Image, Interval, Template, ThresholdRates

MakeFaces = Callable[..., list[Template]]
MIGRATOR = Path(__file__).with_name("killed_migrator.py")


class ToyEmbedder:
    """The mean colour of each row of pixels, as a vector of 24 dimensions; `noise` blurs what it sees."""

    min_similarity: float | None = 0.5

    def __init__(self, contract: str = "toy-2", *, noise: float = 0.0) -> None:
        self.contract = contract
        self.noise = noise
        self.embedded = 0

    def alignable(self, faces: Detections) -> NDArray[np.bool_]:
        return np.ones(len(faces), np.bool_)

    def align(self, image: Image, faces: Detections) -> Crops:
        return np.stack([image[:8, :8]] * len(faces))

    def embed(self, crops: Crops) -> Embeddings:
        if crops.shape[1:] != (8, 8, 3):
            raise ShapeError(f"expected crops of (8, 8, 3), got {crops.shape[1:]}")
        self.embedded += len(crops)
        rows = crops.mean(axis=2).reshape(len(crops), -1) - 127.5
        rows = rows + self.noise * np.random.default_rng(0).normal(size=rows.shape)
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


class OneFace:
    """Finds as many faces as it is told."""

    def __init__(self, count: int = 1) -> None:
        self.count = count

    def detect(self, image: Image) -> Detections:
        n = self.count
        return Detections(np.zeros((n, 4)), np.ones(n), np.zeros((n, 5, 2)))  # type: ignore[arg-type]

    def detect_batch(self, images: object) -> list[Detections]:
        raise NotImplementedError


def likeness(person: int, *, shades: int = 1) -> list[Template]:
    """Pictures of one person, each a little different, and vectors of contract-1 that resemble each other."""
    generator = np.random.default_rng(person)
    own, vector = generator.integers(30, 220, (8, 8, 3)), generator.normal(size=16)
    made = []
    for _ in range(shades):
        crop = np.clip(own + generator.integers(-8, 9, own.shape), 0, 255).astype(np.uint8)
        turned = vector + 0.1 * generator.normal(size=16)
        made.append(Template((turned / np.linalg.norm(turned)).astype(np.float32), crop))
    return made


def fill(gallery: SqliteGallery, people: int = 12) -> None:
    for person in range(people):
        gallery.enrol(f"Person {person}", likeness(person, shades=2))


def pictures(people: int) -> Crops:
    crops = [likeness(person)[0].crop for person in range(people)]
    return np.stack([crop for crop in crops if crop is not None])


def answers(gallery: SqliteGallery, probes: Embeddings) -> list[str]:
    return [found[0].name for found in gallery.search(probes)]


def test_the_whole_way_and_back(gallery: SqliteGallery, path: Path) -> None:
    fill(gallery)
    old = np.stack([likeness(person)[0].embedding for person in range(12)])
    before, embedder = answers(gallery, old), ToyEmbedder()
    done = reembed(gallery, embedder)
    assert (done.made, done.is_complete, embedder.embedded) == (24, True, 24)
    assert answers(gallery, old) == before, "nothing has changed yet"
    assert other_contracts(gallery) == {"toy-2": 24}
    switch(gallery, "toy-2")
    gallery.close()
    with SqliteGallery(path, contract="toy-2") as now:
        assert (now.contract, now.stats().dimension) == ("toy-2", 24)
        new = embedder.embed(pictures(12))
        assert answers(now, new) == before
        assert now.check().is_clean
        assert other_contracts(now) == {"contract-1": 24}
        switch(now, "contract-1")
    with SqliteGallery(path, contract="contract-1") as back:
        assert answers(back, old) == before
        assert back.check().is_clean
        assert [one.action for one in back.audit()][-2:] == ["switch", "switch"]


def test_whoever_works_with_the_old_network_is_told(gallery: SqliteGallery, path: Path) -> None:
    fill(gallery)
    probe = likeness(3)[0].embedding[np.newaxis]
    with SqliteGallery(path, contract="contract-1") as elsewhere:
        assert answers(elsewhere, probe) == ["Person 3"]
        reembed(gallery, ToyEmbedder())
        assert answers(elsewhere, probe) == ["Person 3"]
        switch(gallery, "toy-2")
        with pytest.raises(GalleryError, match="toy-2"):
            elsewhere.search(probe)
        with pytest.raises(GalleryError, match="toy-2"):
            elsewhere.enrol("Late", likeness(99))


def test_what_is_there_is_not_made_twice(gallery: SqliteGallery) -> None:
    fill(gallery, 3)
    assert reembed(gallery, ToyEmbedder()).made == 6
    again = ToyEmbedder()
    assert (reembed(gallery, again).made, again.embedded) == (0, 0)
    gallery.enrol("Late", likeness(50))
    assert reembed(gallery, again).made == 1


def test_faces_enrolled_meanwhile_are_taken_along(gallery: SqliteGallery, path: Path) -> None:
    fill(gallery, 40)
    late = iter(range(100, 103))

    def somebody_comes(_done: int, _total: int) -> None:
        person = next(late, None)
        if person is not None:
            with SqliteGallery(path, contract="contract-1") as other:
                other.enrol(f"Person {person}", likeness(person))

    assert reembed(gallery, ToyEmbedder(), on_progress=somebody_comes).is_complete
    switch(gallery, "toy-2")
    assert len(gallery.people()) >= 41


def test_an_incomplete_set_is_never_switched_to(gallery: SqliteGallery) -> None:
    fill(gallery, 3)
    with pytest.raises(GalleryError, match="6 templates have no vector"):
        switch(gallery, "toy-2")
    reembed(gallery, ToyEmbedder())
    gallery.enrol("Late", likeness(50))
    with pytest.raises(GalleryError, match="1 templates have no vector"):
        switch(gallery, "toy-2")
    assert gallery.contract == "contract-1"


def test_the_way_back_needs_vectors_of_those_who_came_since(gallery: SqliteGallery, path: Path) -> None:
    fill(gallery, 3)
    reembed(gallery, ToyEmbedder())
    switch(gallery, "toy-2")
    gallery.close()
    with SqliteGallery(path, contract="toy-2") as now:
        (late,) = likeness(50)
        now.enrol("Late", [Template(ToyEmbedder().embed(late.crop[np.newaxis])[0], late.crop)])  # type: ignore[index]
        with pytest.raises(GalleryError, match="1 templates have no vector of the contract contract-1"):
            switch(now, "contract-1")


def test_faces_without_a_picture_are_named(gallery: SqliteGallery, faces: MakeFaces) -> None:
    fill(gallery, 2)
    bare = gallery.enrol("Bare", faces(1, crops=False))
    done = reembed(gallery, ToyEmbedder())
    assert (done.made, done.is_complete) == (4, False)
    assert list(done.without_crop) == gallery.template_ids(bare.id)


def test_they_may_be_cut_anew_from_their_photos(gallery: SqliteGallery, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    save_image(np.full((16, 16, 3), 50, np.uint8), photo)
    template = replace(likeness(1)[0], crop=None, source=str(photo))
    gallery.enrol("Anna", [template])
    gallery.enrol("Gone", [replace(template, source="nowhere.jpg")])
    embedder = ToyEmbedder()
    for count, made in ((2, 0), (0, 0), (1, 1)):
        detector = OneFace(count)
        assert reembed(gallery, embedder, crop_of=crop_from_source(detector, embedder)).made == made


def test_crops_of_another_kind_are_refused(gallery: SqliteGallery, faces: MakeFaces) -> None:
    (template,) = faces(1)
    gallery.enrol("Anna", [replace(template, crop=np.zeros((9, 9, 3), np.uint8))])
    with pytest.raises(ShapeError, match="9, 9"):
        reembed(gallery, ToyEmbedder())
    with pytest.raises(GalleryError, match="already"):
        reembed(gallery, ToyEmbedder("contract-1"))


def test_what_is_no_longer_wanted_is_deleted(gallery: SqliteGallery) -> None:
    fill(gallery, 2)
    reembed(gallery, ToyEmbedder())
    with pytest.raises(GalleryError, match="works with"):
        forget(gallery, "contract-1")
    assert forget(gallery, "toy-2") == 4
    assert other_contracts(gallery) == {}


def test_a_person_goes_with_all_vectors(gallery: SqliteGallery) -> None:
    fill(gallery, 3)
    reembed(gallery, ToyEmbedder())
    gallery.remove(gallery.find("Person 0").id)
    assert other_contracts(gallery) == {"toy-2": 4}
    assert erase(gallery, gallery.find("Person 1").id).is_proven
    assert other_contracts(gallery) == {"toy-2": 2}


def test_an_encrypted_gallery_is_migrated_too(gallery: SqliteGallery, path: Path) -> None:
    fill(gallery, 4)
    encrypt(gallery, bytes(32))
    embedder = ToyEmbedder()
    reembed(gallery, embedder)
    rotate_key(gallery, bytes(range(32)))
    switch(gallery, "toy-2")
    gallery.close()
    with SqliteGallery(path, contract="toy-2", key=bytes(range(32))) as now:
        probes = embedder.embed(pictures(4))
        assert answers(now, probes) == [f"Person {person}" for person in range(4)]
        assert now.templates(now.find("Person 1").id)[0].crop is not None, "crops open under either contract"
        assert probes[0].tobytes() not in path.read_bytes()


def test_the_calibration_of_the_new_contract_takes_effect_with_the_switch(
    gallery: SqliteGallery, path: Path
) -> None:
    fill(gallery, 2)
    rates = (ThresholdRates(0.4, 1e-3, Interval(5e-4, 2e-3), 0.01, 10, 10_000, 100),)
    gallery.set_calibration(Calibration("contract-1", rates, 1e-3, 1e-2))
    gallery.set_calibration(Calibration("toy-2", rates, 1e-3, 5e-2))
    reembed(gallery, ToyEmbedder())
    switch(gallery, "toy-2")
    gallery.close()
    with SqliteGallery(path) as now:
        stored = now.calibration()
        assert stored is not None
        assert stored.contract == "toy-2"


def test_a_good_network_agrees_and_a_bad_one_does_not(gallery: SqliteGallery) -> None:
    fill(gallery)
    gallery.enrol("Alone", likeness(77))
    reembed(gallery, ToyEmbedder())
    reembed(gallery, ToyEmbedder("noise", noise=1e6))
    good = compare(gallery, "toy-2", thresholds=(0.9, 0.9))
    assert (good.before, good.after, good.probes, good.mated) == ("contract-1", "toy-2", 25, 24)
    assert (good.rank1_before, good.rank1_after) == (1.0, 1.0)
    assert good.decisions[Decision.RIGHT, Decision.RIGHT] == 24
    assert good.decisions[Decision.UNKNOWN, Decision.UNKNOWN] == 1, "whoever is alone is a stranger"
    bad = compare(gallery, "noise", thresholds=(0.9, 0.9))
    assert bad.rank1_after < 0.6
    assert sum(bad.decisions.values()) == 25
    lost = [change for change in bad.changes if change.after is None]
    assert lost
    assert all(change.before == change.name for change in lost)


def test_ranks_are_those_of_a_plain_search(gallery: SqliteGallery) -> None:
    fill(gallery, 6)
    reembed(gallery, ToyEmbedder("noise", noise=60.0))
    found = compare(gallery, "noise")
    people = [person for person in gallery.people() for _ in range(2)]
    rows = np.concatenate([[one.embedding for one in gallery.templates(p.id)] for p in gallery.people()])
    hits = 0
    for i in range(len(rows)):
        others = [j for j in range(len(rows)) if j != i]
        best = max(others, key=lambda j: float(rows[i] @ rows[j]))
        hits += people[best].id == people[i].id
    assert found.rank1_before == hits / len(rows)
    assert found.decisions == {}
    with pytest.raises(InputError, match="0 people"):
        compare(gallery, "another")


@pytest.mark.slow
def test_two_thousand_people_are_migrated_in_spite_of_ten_kills(path: Path) -> None:
    with SqliteGallery(path, contract="contract-1") as gallery:
        for person in range(2000):
            gallery.enrol(f"Person {person}", likeness(person))
    generator, kills, made = np.random.default_rng(0), 0, []
    while kills < 10:
        run = subprocess.Popen([sys.executable, str(MIGRATOR), str(path), "20"], stdout=subprocess.PIPE)
        assert run.stdout is not None
        for _ in range(1 + int(generator.integers(3))):
            run.stdout.readline()  # it begins, and a batch is done, and another
        time.sleep(float(generator.uniform(0.0, 0.03)))  # somewhere in the next
        assert run.poll() is None, "it was through before it could be killed ten times"
        os.kill(run.pid, signal.SIGKILL)
        run.communicate()
        kills += 1
        with SqliteGallery(path) as gallery:
            made.append(other_contracts(gallery).get("toy-2", 0))
    assert made == sorted(made)
    assert 0 < made[-1] < 2000
    done = subprocess.run([sys.executable, str(MIGRATOR), str(path), "0"], check=True, capture_output=True)
    assert int(done.stdout.split()[-1]) == 2000 - made[-1], "nothing is made twice"
    probes = np.stack([likeness(person)[0].embedding for person in range(0, 2000, 100)])
    with SqliteGallery(path) as gallery:
        before = answers(gallery, probes)
        assert compare(gallery, "toy-2", max_probes=200).probes == 200
        switch(gallery, "toy-2")
    with SqliteGallery(path) as now:
        assert (now.contract, now.stats().templates) == ("toy-2", 2000)
        assert now.check().is_clean
        switch(now, "contract-1")
    with SqliteGallery(path) as back:
        assert answers(back, probes) == before
        assert back.check().is_clean
