"""`vultus export`, `quantize`, `prune` and `average`: from a run to files, and what is refused on the way."""

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from vultus.embed import load_embedder
from vultus.embed.self_check import reference_face
from vultus.image import save_image
from vultus.networks.catalog import NETWORKS
from vultus.networks.state import load_state, read_state
from vultus.weights.description import FivePoint, Preprocessing
from vultus.weights.exported import EmbeddingFacts, facts_to_metadata

Command = Callable[..., Any]
SMALL = "compact-resnet-slim"
INTO = ("--into", "slim-sface")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The exporter deprecates, the quantiser advises."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "distil"
    folder.mkdir()
    torch.manual_seed(0)
    torch.save(NETWORKS[SMALL].build().state_dict(), folder / "best.pt")
    settings = {"network": SMALL, "epochs": 3, "faces": "/somewhere/private"}
    told = {"recipe": "DistilRecipe", "settings": settings, "commit": "abc"}
    (folder / "recipe.json").write_text(json.dumps(told))
    (folder / "validation.csv").write_text("epoch,step,eer\n1,10,0.2\n3,30,0.1\n")
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A network of two convolutions in a file that says how it is fed."""
    rng = np.random.default_rng(0)
    weights = {
        "a": rng.normal(0, 0.2, (8, 3, 7, 7)),
        "b": rng.normal(0, 0.1, (16, 8, 16, 16)),
    }
    nodes = [
        helper.make_node("Conv", ["images", "a"], ["first"], strides=[7, 7]),
        helper.make_node("Relu", ["first"], ["positive"]),
        helper.make_node("Conv", ["positive", "b"], ["maps"]),
        helper.make_node("Flatten", ["maps"], ["embedding"]),
    ]
    tensors = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    given = helper.make_tensor_value_info("images", TensorProto.FLOAT, ("n", 3, 112, 112))
    answer = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ("n", 16))
    graph = helper.make_graph(nodes, "test", [given], [answer], tensors)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    fed = Preprocessing(
        size_hw=(112, 112),
        mean=(127.5,) * 3,
        std=(127.5,) * 3,
        alignment=FivePoint(),
        normalisation="l2",
    )
    helper.set_model_props(proto, facts_to_metadata(EmbeddingFacts("two", "two convolutions", fed, 16)))
    path = tmp_path / "two.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Three people, four crops of 128 px each."""
    rng = np.random.default_rng(0)
    for person in range(3):
        folder = tmp_path / "people" / f"p{person}"
        folder.mkdir(parents=True)
        blots = np.kron(rng.integers(0, 256, (8, 8, 3)), np.ones((16, 16, 1)))
        for number in range(4):
            crop = (blots + rng.normal(0, 15, blots.shape)).clip(0, 255).astype(np.uint8)
            save_image(crop, folder / f"{number}.png")
    return tmp_path / "people"


@pytest.mark.slow
def test_a_run_becomes_a_small_file_with_a_card_and_embeds(
    vultus: Command, run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out" / "ours.onnx"
    told = vultus(
        *("export", "onnx", run, "--out", out, "--fp16", "--pixels", "--name", "ours", "--data", "faces"),
        *("--licence", "Apache-2.0", "--metric", "LFW dev=98.5", "--min-similarity", 0.3),
        "--research-only",
    )
    assert told.code == 0, told.err
    assert "gate: every cosine is " in told.out
    assert out.stat().st_size < 2.2e6
    card = json.loads((tmp_path / "out" / "ours.card.json").read_text())
    assert (card["name"], card["licence"]["data"], card["min_similarity"]) == ("ours", "faces", 0.3)
    assert card["licence"]["is_data_research_only"]
    assert card["metrics"] == [{"benchmark": "LFW dev", "percent": 98.5, "subset": "", "protocol": ""}]
    assert 0.9999 < card["gate"]["cosine"] < 1
    assert card["training"]["recipe"] == "DistilRecipe"
    assert card["validation"]["eer"] == "0.1"
    assert "private" not in json.dumps(card)
    embedder = load_embedder(str(out))
    assert embedder.embed(reference_face()[np.newaxis]).shape == (1, 128)
    assert embedder.contract == card["contract"]


def test_int8_from_the_command_line(vultus: Command, model: Path, people: Path, tmp_path: Path) -> None:
    out = tmp_path / "int8.onnx"
    arguments = ("quantize", model, "--out", out, "--faces", people, "--method", "minmax", "--json")
    told = vultus(*arguments)
    assert told.code == 0, told.err
    said = json.loads(told.out[told.out.index("{") :])
    assert 0.99 <= said["gate"]["cosine"] < 1
    kinds = {node.op_type for node in onnx.load(out).graph.node}
    assert "QuantizeLinear" in kinds
    assert load_embedder(str(out)).weights.notes[0].startswith("int8, minmax")
    assert json.loads((tmp_path / "int8.card.json").read_text())["quantisation"]["from"] == "two.onnx"


@pytest.mark.parametrize("half", ["fp16", "bf16"])
def test_half_precision_from_the_command_line(
    half: str, vultus: Command, model: Path, tmp_path: Path
) -> None:
    told = vultus("quantize", model, "--to", half, "--out", tmp_path / "half.onnx")
    assert told.code == 0, told.err
    assert "over 16 crops" in told.out
    assert (tmp_path / "half.onnx").stat().st_size < model.stat().st_size


def test_tar_is_compared_on_the_people_that_are_given(
    vultus: Command, model: Path, people: Path, tmp_path: Path
) -> None:
    told = vultus(
        *("quantize", model, "--to", "fp16", "--out", tmp_path / "h.onnx", "--faces", people),
        *("--tar", "--far", 0.3),
    )
    assert told.code == 0, told.err
    assert "TAR at FAR 0.3: " in told.out


def test_a_refused_file_is_not_written(vultus: Command, model: Path, tmp_path: Path) -> None:
    told = vultus("quantize", model, "--to", "fp16", "--out", tmp_path / "h.onnx", "--min-cosine", 1)
    assert told.code == 7
    assert "Nothing is written" in told.err.replace("\n", " ")
    assert list(tmp_path.glob("h.*")) == []


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("export", "onnx", "nowhere", "--out", "x.onnx"), 2, "neither a run's folder nor a network"),
        (("export", "onnx", "mobilefacenet", "--out", "x.onnx"), 2, "without weights"),
        (("quantize", "MODEL", "--out", "x.onnx"), 2, "int8 takes its ranges from real faces"),
        (("quantize", "MODEL", "--out", "x.onnx", "--to", "dynamic"), 2, "this graph has none"),
        (("quantize", "nowhere.onnx", "--to", "fp16", "--out", "x.onnx"), 3, "no readable ONNX file"),
        (("quantize", "MODEL", "--to", "fp16", "--out", "x.onnx", "--tar"), 2, "--tar compares people"),
        (("prune", "RUN", "--out", "x.pt"), 2, "say what goes"),
        (("prune", "RUN", "--out", "x.pt", "--ratio", "0.5", "--flops", "0.5"), 2, "say what goes"),
        (("prune", "sface", *INTO, "--ratio", "0.5", "--out", "x.pt"), 2, "leave --ratio"),
        (("prune", "sface", *INTO, "--importance", "taylor", "--out", "x.pt"), 2, "--importance, --global"),
        (("prune", "sface", *INTO, "--round-to", "8", "--out", "x.pt"), 2, "--round-to out"),
        (("prune", "sface", *INTO, "--out", "x.pt"), 2, "name thousands of aligned ones"),
        (("prune", "RUN", *INTO, "--faces", "PEOPLE", "--out", "x.pt"), 2, "forms of sface"),
        (("prune", "sface", "--into", "x", "--faces", "PEOPLE", "--out", "x.pt"), 2, "forms of sface"),
        (("prune", "sface", *INTO, "--faces", "PEOPLE", "--count", "7", "--out", "x.pt"), 2, "8 faces or"),
        (("average", "RUN", "--out", "x.pt"), 2, "two networks or more"),
        (("average", "a.pt", "b.pt", "--out", "x.pt"), 2, "name it (--network"),
        (("average", "RUN", "b.pt", "--out", "x.pt"), 3, "cannot read b.pt"),
        (("average", "RUN", "RUN", "--network", "mobilefacenet", "--out", "x.pt"), 2, f"run of {SMALL}, not"),
        (("export", "onnx", "RUN", "--out", "x.onnx", "--metric", "LFW"), 2, "NAME=PERCENT"),
    ],
)
def test_what_cannot_be_done_is_said(
    arguments: tuple[str, ...], code: int, says: str, vultus: Command, model: Path, run: Path, people: Path
) -> None:
    named = {"MODEL": model, "RUN": run, "PEOPLE": people}
    told = vultus(*(named.get(argument, argument) for argument in arguments))
    assert told.code == code
    assert says in " ".join(told.err.split())


def test_pruning_says_what_it_costs_and_how_to_go_on(vultus: Command, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "pruned.pt"
    told = vultus("prune", run, "--out", out, "--ratio", 0.25)
    assert told.code == 0, told.err
    assert "multiply-adds, G" in told.out
    assert f"vultus train distil --run runs/pruned --set network={SMALL} --set start={out}" in told.out
    assert out.stat().st_size < 0.7 * (run / "best.pt").stat().st_size
    as_json = vultus("prune", run, "--out", out, "--ratio", 0.25, "--importance", "taylor", "--json")
    before, after = json.loads(as_json.out)["networks"]
    assert after["params_m"] < 0.65 * before["params_m"]
    assert after["ms"] > 0


def test_sface_fills_the_form_that_int8_suits(vultus: Command, people: Path, tmp_path: Path) -> None:
    out = tmp_path / "start.pt"
    arguments = ("prune", "sface", *INTO, "--faces", people, "--out", out)
    told = vultus(*arguments, "--count", 12, "--stem-steps", 2)
    assert told.code == 0, told.err
    assert "mean cosine to sface, layers solved: " in told.out
    assert f"--set network=slim-sface --set start={out}" in told.out
    load_state(NETWORKS["slim-sface"].build(), out, what="a slim-sface")
    as_json = json.loads(vultus(*arguments, "--count", 12, "--stem-steps", 2, "--json").out)
    before, after = as_json["networks"]
    assert after["params_m"] < 0.5 * before["params_m"]
    assert list(as_json["cosines"]) == ["channels dropped", "stem learnt", "layers solved"]


def test_the_mean_of_a_run_and_of_what_another_left(vultus: Command, run: Path, tmp_path: Path) -> None:
    state = torch.load(run / "best.pt", weights_only=True)
    moved = {name: tensor + 1 if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    torch.save(moved, tmp_path / "moved.pt")
    out = tmp_path / "mean.safetensors"
    told = vultus("average", run, tmp_path / "moved.pt", "--out", out)
    assert told.code == 0, told.err
    assert f"vultus export onnx {SMALL} --weights {out}" in told.out
    mean = read_state(out)
    for name, tensor in state.items():
        torch.testing.assert_close(mean[name], tensor + 0.5 if tensor.is_floating_point() else tensor)
    as_json = vultus("average", run, tmp_path / "moved.pt", "--out", out, "--json")
    assert json.loads(as_json.out)["network"] == SMALL


def test_safetensors_from_the_command_line(vultus: Command, run: Path, tmp_path: Path) -> None:
    told = vultus("export", "safetensors", run, "--out", tmp_path / "w.safetensors", "--fp16")
    assert told.code == 0, told.err
    assert (tmp_path / "w.safetensors").stat().st_size < 0.55 * (run / "best.pt").stat().st_size
