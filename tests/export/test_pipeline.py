"""From a trained network to a file with a card: what is written; and nothing is when the gate refuses."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from vultus.embed import load_embedder
from vultus.errors import ExportError, InputError, WeightsError
from vultus.export.crops import default_crops
from vultus.export.gate import Limits, People
from vultus.export.pipeline import export_onnx, write
from vultus.export.state import write_safetensors
from vultus.export.subjects import Subject, load_subject, network_of_run, subject_of
from vultus.networks.catalog import NETWORKS
from vultus.networks.state import load_state
from vultus.weights.description import Metric
from vultus.weights.exported import facts_from_metadata, facts_to_metadata, with_metrics

pytestmark = pytest.mark.usefixtures("quiet_exporter")
SMALL = "compact-resnet-slim"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder as `vultus train distil` leaves it, of fresh weights."""
    folder = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    torch.save(NETWORKS[SMALL].build().state_dict(), folder / "best.pt")
    settings = {"network": SMALL, "epochs": 1, "faces": "/somewhere/faces"}
    told = {"recipe": "DistilRecipe", "settings": settings, "commit": "abc"}
    (folder / "recipe.json").write_text(json.dumps(told))
    return folder


def metadata(model: bytes) -> dict[str, str]:
    return {each.key: each.value for each in onnx.load_model_from_string(model).metadata_props}


def test_the_file_holds_the_bytes_that_passed_and_says_how_it_is_fed(toy: Subject, tmp_path: Path) -> None:
    exported = export_onnx(toy, storage="fp16")
    page = write(exported, tmp_path / "new" / "toy.onnx", told={"training": {"recipe": "none"}})
    assert (tmp_path / "new" / "toy.onnx").read_bytes() == exported.model
    assert facts_from_metadata(metadata(exported.model)) == toy.facts
    card = json.loads((tmp_path / "new" / "toy.card.json").read_text())
    assert card["bytes"] == len(exported.model)
    assert card["gate"]["cosine"] == exported.passed.cosine > 0.999
    assert len(card["contract"]) == 16
    assert card["training"] == {"recipe": "none"}
    told = page.read_text()
    assert told.startswith("# toy.onnx\n")
    assert card["contract"] in told


def test_pixels_are_said_in_the_metadata_and_the_embedder_feeds_them(toy: Subject, tmp_path: Path) -> None:
    """The same crops, the same embeddings; another contract, as the file is another."""
    paths = {is_inside: tmp_path / f"{is_inside}.onnx" for is_inside in (False, True)}
    for is_inside, path in paths.items():
        write(export_onnx(toy, has_pixel_input=is_inside), path, told={})
    outside, inside = (load_embedder(str(paths[is_inside])) for is_inside in (False, True))
    crops = default_crops((32, 32))
    np.testing.assert_array_equal(inside.embed(crops), outside.embed(crops))
    np.testing.assert_array_equal(
        load_embedder(str(paths[True]), flip=True).embed(crops),
        load_embedder(str(paths[False]), flip=True).embed(crops),
    )
    assert inside.contract != outside.contract
    on_openvino = load_embedder(str(paths[True]), runtime="openvino-f32")
    np.testing.assert_allclose(on_openvino.embed(crops), outside.embed(crops), atol=1e-4)
    assert inside.weights.preprocessing.layout == "NHWC"


def test_nothing_is_made_when_the_gate_refuses(toy: Subject) -> None:
    with pytest.raises(ExportError, match="Nothing is written"):
        export_onnx(toy, limits=Limits(min_cosine=1.1))


def test_what_does_not_fit_together_is_refused(toy: Subject) -> None:
    people = People(default_crops((32, 32)), np.arange(16))
    with pytest.raises(InputError, match="embeds no faces"):
        export_onnx(replace(toy, facts=None), people=people)
    with pytest.raises(InputError, match="takes pairs"):
        export_onnx(replace(toy, is_pair=True), has_pixel_input=True)


def test_a_run_is_exported_with_its_best_weights(run: Path) -> None:
    subject = load_subject(str(run))
    assert subject.name == SMALL
    assert not subject.network.training
    stored = torch.load(run / "best.pt", weights_only=True)
    assert torch.equal(subject.network.state_dict()["project.weight"], stored["project.weight"])
    assert subject.facts is not None
    assert (subject.facts.embedding_size, subject.preprocessing.size_hw) == (128, (112, 112))


@pytest.mark.parametrize(
    ("recipe", "settings", "network"),
    [
        ("RetinaFaceRecipe", {"backbone": "mobilenet0.25"}, "retinaface-mobilenet0.25"),
        ("YOLOv5FaceRecipe", {"size": "n-0.5"}, "yolov5-face-n-0.5"),
        ("ArcFaceRecipe", {"network": "iresnet50", "size_px": 112}, "iresnet50"),
    ],
)
def test_the_network_of_a_run_stands_in_its_recipe(
    recipe: str, settings: dict[str, str], network: str, tmp_path: Path
) -> None:
    (tmp_path / "recipe.json").write_text(json.dumps({"recipe": recipe, "settings": settings}))
    assert network_of_run(tmp_path)[0] == network
    assert network in NETWORKS


def test_our_retinaface_saw_rgb_and_a_public_one_bgr(tmp_path: Path) -> None:
    state = NETWORKS["retinaface-mobilenet0.25"].build().state_dict()
    torch.save(state, tmp_path / "best.pt")
    told = {"recipe": "RetinaFaceRecipe", "settings": {"backbone": "mobilenet0.25"}}
    (tmp_path / "recipe.json").write_text(json.dumps(told))
    ours = load_subject(str(tmp_path))
    public = load_subject("retinaface-mobilenet0.25", weights=tmp_path / "best.pt")
    assert (ours.preprocessing.channels, public.preprocessing.channels) == ("RGB", "BGR")


@pytest.mark.parametrize(
    ("what", "match"),
    [("nowhere", "neither a run's folder nor a network"), ("mobilefacenet", "without weights")],
)
def test_what_cannot_be_exported_is_said(what: str, match: str) -> None:
    with pytest.raises(InputError, match=match):
        load_subject(what)


def test_a_run_of_several_networks_says_which_to_name(tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text(json.dumps({"recipe": "MTCNNRecipe", "settings": {}}))
    with pytest.raises(InputError, match="export onnx mtcnn-pnet --weights FOLDER"):
        load_subject(str(tmp_path))


@pytest.mark.parametrize(
    "name", [name for name in NETWORKS if not name.startswith(("iresnet1", "yolov5-face-l"))]
)
def test_every_network_can_be_a_subject_whose_input_it_takes(name: str) -> None:
    with torch.device("meta"):
        network = NETWORKS[name].build().eval()
    real = NETWORKS[name].build() if name.startswith("mtcnn") else network
    subject = subject_of(name, real)
    fed = subject.feed(default_crops(subject.gate_hw)[:2])
    device = "cpu" if real is not network else "meta"
    with torch.no_grad():
        answers = subject.network(torch.empty(fed.shape, device=device))
    count = len(answers) if isinstance(answers, tuple | list) else 1
    assert count == len(subject.output_names)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "mtcnn-pnet",
        "mtcnn-onet",
        "retinaface-mobilenet0.25",
        "yolov5-face-n-0.5",
        "mobilenet-v1-x0.25",
        "facenet-mobilenet-v1-x0.25",
        "siamese-mobilefacenet-head",
        "mobilefacenet",
        SMALL,
    ],
)
def test_one_network_of_each_family_passes_the_gate(name: str) -> None:
    torch.manual_seed(0)
    subject = subject_of(name, NETWORKS[name].build())
    assert export_onnx(subject, storage="fp16").passed.cosine > 0.999


def test_safetensors_come_back_as_they_were(run: Path, tmp_path: Path) -> None:
    subject = load_subject(str(run))
    write_safetensors(subject, tmp_path / "whole.safetensors")
    write_safetensors(subject, tmp_path / "half.safetensors", is_half=True)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("whole", "half")]
    assert sizes[1] < 0.55 * sizes[0]
    state = subject.network.state_dict()
    for name, tolerance in (("whole", 0.0), ("half", 1e-3)):
        back = load_state(NETWORKS[SMALL].build(), tmp_path / f"{name}.safetensors", what="it").state_dict()
        assert back.keys() == state.keys()
        for key, tensor in state.items():
            torch.testing.assert_close(back[key], tensor, rtol=tolerance, atol=tolerance)


def test_a_damaged_safetensors_file_is_a_weights_error(tmp_path: Path) -> None:
    (tmp_path / "damaged.safetensors").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="must hold the state dict of it"):
        load_state(NETWORKS[SMALL].build(), tmp_path / "damaged.safetensors", what="it")


def test_facts_come_back_from_metadata_and_a_figure_replaces_an_older_one(toy: Subject) -> None:
    assert toy.facts is not None
    facts = with_metrics(toy.facts, Metric("LFW dev", 90.0), Metric("LFW dev", 91.0), Metric("CFP", 80.0))
    assert [each.percent for each in facts.metrics] == [91.0, 80.0]
    assert facts_from_metadata(facts_to_metadata(facts)) == facts


@pytest.mark.parametrize("told", [{}, {"vultus": "{"}, {"vultus": '{"embedding": {"name": 3}}'}])
def test_a_file_that_does_not_say_how_it_is_fed_is_refused(told: dict[str, str]) -> None:
    with pytest.raises(WeightsError, match="must say under 'vultus' how faces are cut and fed"):
        facts_from_metadata(told)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot read"):
        load_embedder(str(tmp_path / "nothing.onnx"))
