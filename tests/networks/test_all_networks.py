"""What holds for every network: one parametrised test over all of them.

All variants are built on the meta device (shapes, counts, figures: no arithmetic). One small variant of each
architecture then truly runs, at the smallest input that says something.
"""

import copy
import shutil
import warnings
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vultus.networks.catalog import NETWORKS
from vultus.networks.measure import Cost, cost, deviation, example_images

# One of each architecture, and the height and width it runs at here.
SMALL: dict[str, tuple[int, int]] = {
    "mtcnn-pnet": (40, 52),
    "mtcnn-rnet": (24, 24),
    "mtcnn-onet": (48, 48),
    "retinaface-mobilenet0.25": (64, 96),
    "yolov5-face-n-0.5": (64, 96),
    "mobilenet-v1-x0.25": (64, 48),
    "resnet-18": (64, 48),
    "inception-resnet-v1": (96, 80),
    "facenet-mobilenet-v1-x0.25": (64, 64),
    "siamese-mobilefacenet-head": (112, 112),
    "mobilefacenet": (112, 112),
    "mobilefacenet-relu": (112, 112),
    "compact-resnet-slim": (112, 112),
    "iresnet18": (112, 112),
    "iresnet18-se": (112, 112),
    "sface": (112, 112),
    "slim-sface": (112, 112),
}
# These weigh every position of their last map, so their input size is fixed when they are built.
FIXED_SIZE = (
    "mtcnn-rnet",
    "mtcnn-onet",
    "mobilefacenet",
    "siamese-mobilefacenet",
    "compact-resnet",
    "iresnet",
    "sface",
    "slim-sface",
)
# Compiling and exporting take seconds each; the others here are made of the same layers as these.
SAME_LAYERS = {"mobilenet-v1-x0.25", "mobilefacenet-relu", "iresnet18", "slim-sface"}
EXPORTED = [name for name in SMALL if name not in SAME_LAYERS]
# ONNX again: RetinaFace's own test exports it at any image size; the Siamese head is MobileFaceNet and a sum.
TO_ONNX = [
    name for name in EXPORTED if name not in {"retinaface-mobilenet0.25", "siamese-mobilefacenet-head"}
]
FROZEN = {"iresnet18": ["features.weight"], "iresnet18-se": ["features.weight"]}

every_network = pytest.mark.parametrize("name", NETWORKS)
each_architecture = pytest.mark.parametrize("name", SMALL)
each_exported = pytest.mark.parametrize("name", EXPORTED)


@cache
def own_cost(name: str) -> Cost:
    return cost(NETWORKS[name])


def images(name: str, count: int, *, seed: int = 1) -> tuple[Tensor, ...]:
    """Smooth blobs and a little noise: of pure noise every pooled feature would be the same."""
    generator = torch.Generator().manual_seed(seed)

    def batch() -> Tensor:
        blobs = F.interpolate(torch.randn(count, 3, 6, 6, generator=generator), SMALL[name], mode="bilinear")
        return blobs + 0.1 * torch.randn(blobs.shape, generator=generator)

    return tuple(batch() for _ in range(NETWORKS[name].image_count))


@cache
def settled(name: str) -> nn.Module:
    """The network from seed 0, in evaluation, with the statistics of one batch: fresh ones fit nothing."""
    torch.manual_seed(0)
    network = NETWORKS[name].build().train()
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network(*images(name, 4))
    for norm in norms:
        norm.momentum = 0.1
    return network.eval()


def tensors(output: Any) -> list[Tensor]:
    """The tensors of an output, which may be one, or a tuple of them, nested."""
    return [output] if isinstance(output, Tensor) else [leaf for part in output for leaf in tensors(part)]


def answers(network: Callable[..., Any], inputs: tuple[Tensor, ...]) -> list[Tensor]:
    with torch.no_grad():
        return tensors(network(*inputs))


def assert_close(actual: list[Tensor], expected: list[Tensor], *, relative: float) -> None:
    """Equal up to `relative` of the largest value of each tensor."""
    assert expected
    assert [one.shape for one in actual] == [one.shape for one in expected]
    for one, other in zip(actual, expected, strict=True):
        assert one.isfinite().all()
        assert (one - other).abs().max() <= relative * other.abs().max()


@every_network
def test_the_figures_are_the_published_ones_or_the_note_says_why_not(name: str) -> None:
    variant, own = NETWORKS[name], own_cost(name)
    assert own.params_m > 0
    assert own.gflops > 0
    if variant.published is None:
        return
    assert variant.published.source
    figures = (
        deviation(own.params_m, variant.published.params_m),
        deviation(own.gflops, variant.published.gflops),
    )
    known = [abs(figure) for figure in figures if figure is not None]
    assert known
    assert max(known) <= 0.02 or variant.note
    assert max(known) < 0.10


@pytest.mark.parametrize("name", [name for name, variant in NETWORKS.items() if variant.embedding_size])
def test_an_embedding_has_the_stated_length(name: str) -> None:
    variant = NETWORKS[name]
    with torch.device("meta"):
        outputs = answers(variant.build().eval(), example_images(variant, batch=2))
    assert [tuple(output.shape) for output in outputs] == [(2, variant.embedding_size)]


@pytest.mark.parametrize("name", [name for name in SMALL if not name.startswith(FIXED_SIZE)])
@pytest.mark.parametrize("size_hw", [(129, 97), (96, 111), (77, 160)])
def test_a_convolutional_network_takes_odd_sizes(name: str, size_hw: tuple[int, int]) -> None:
    if name.startswith("yolov5-face"):  # its grids must fit: an odd number of cells, then
        size_hw = (size_hw[0] // 32 * 32, size_hw[1] // 32 * 32)
    with torch.device("meta"):
        network = NETWORKS[name].build().eval()
        outputs = answers(network, (torch.zeros(1, 3, *size_hw),))
    assert outputs
    assert all(output.numel() > 0 for output in outputs)


@each_architecture
def test_the_seed_decides_the_weights(name: str) -> None:
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        states.append(NETWORKS[name].build().state_dict())
    assert states[0]
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())
    assert any(not torch.equal(value, states[2][key]) for key, value in states[0].items())
    assert all(value.isfinite().all() for value in states[0].values())


@each_architecture
def test_a_state_dict_carries_the_whole_network(name: str) -> None:
    torch.manual_seed(9)
    other = NETWORKS[name].build().eval()
    assert any(
        not torch.equal(a, b) for a, b in zip(other.parameters(), settled(name).parameters(), strict=True)
    )
    other.load_state_dict(settled(name).state_dict(), strict=True)
    assert_close(answers(other, images(name, 2)), answers(settled(name), images(name, 2)), relative=0)


@each_architecture
def test_evaluation_is_deterministic_leaves_the_state_and_training_does_not(name: str) -> None:
    network = copy.deepcopy(settled(name))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    assert_close(answers(network, images(name, 2)), answers(network, images(name, 2)), relative=0)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    answers(network.train(), images(name, 2, seed=5))
    has_batch_norm = any(key.endswith("running_mean") for key in before)
    changed = [key for key, value in network.state_dict().items() if not torch.equal(value, before[key])]
    assert bool(changed) == has_batch_norm
    assert all("running" in key or key.endswith("num_batches_tracked") for key in changed)


@each_architecture
def test_a_batch_gives_what_its_images_give_alone(name: str) -> None:
    batch = images(name, 3)
    together = answers(settled(name), batch)
    alone = [answers(settled(name), tuple(one[i : i + 1] for one in batch)) for i in range(3)]
    assert_close(together, [torch.cat(parts) for parts in zip(*alone, strict=True)], relative=1e-4)


@each_architecture
def test_channels_last_changes_nothing(name: str) -> None:
    network = copy.deepcopy(settled(name))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs
    batch = tuple(one.to(memory_format=torch.channels_last) for one in images(name, 2))
    assert_close(answers(network, batch), answers(settled(name), images(name, 2)), relative=1e-4)


@each_architecture
def test_bfloat16_autocast_stays_close(name: str) -> None:
    """Random depthwise networks amplify rounding, so the bound is loose; trained ones keep 0.987 and more."""
    expected = answers(settled(name), images(name, 2))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        actual = answers(settled(name), images(name, 2))
    assert expected
    for one, other in zip(actual, expected, strict=True):
        assert one.isfinite().all()
        assert F.cosine_similarity(one.float().flatten(), other.flatten(), dim=0) > 0.85
    if NETWORKS[name].embedding_size is not None:
        assert actual[0].dtype == torch.float32


@each_architecture
def test_gradients_reach_every_parameter_under_autocast_too(name: str) -> None:
    network = copy.deepcopy(settled(name)).train()
    frozen = [key for key, parameter in network.named_parameters() if not parameter.requires_grad]
    assert frozen == FROZEN.get(name, [])
    for is_autocast in (False, True):
        network.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=is_autocast):
            outputs = tensors(network(*images(name, 4, seed=3)))
        generator = torch.Generator().manual_seed(4)
        weights = [torch.randn(output.shape, generator=generator) for output in outputs]
        torch.autograd.backward([output.float() for output in outputs], weights)
        learning = {key: parameter for key, parameter in network.named_parameters() if key not in frozen}
        assert learning
        for key, parameter in learning.items():
            assert parameter.grad is not None, key
            assert parameter.grad.isfinite().all(), key
            assert parameter.grad.any(), key


@each_architecture
def test_what_must_not_decay_is_what_has_one_dimension(name: str) -> None:
    """Weight decay spares batch norms, slopes and biases: a trainer tells them by their dimensions."""
    network, spared = settled(name), set()
    for path, module in network.named_modules():
        for key, _ in module.named_parameters(prefix=path, recurse=False):
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d | nn.PReLU) or key.endswith("bias"):
                spared.add(key)
    spared |= {"alpha", "beta"} & set(dict(network.named_parameters()))  # the Siamese head's
    assert spared
    assert {key for key, parameter in network.named_parameters() if parameter.ndim <= 1} == spared


@each_exported
def test_torch_compile_takes_it_whole_and_changes_nothing(name: str) -> None:
    torch.compiler.reset()
    # aot_eager traces and lowers everything but calls no C++ compiler: seconds instead of minutes
    compiled = torch.compile(settled(name), fullgraph=True, backend="aot_eager")
    assert_close(answers(compiled, images(name, 2)), answers(settled(name), images(name, 2)), relative=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="TorchInductor needs a C++ compiler")
def test_the_code_that_torch_compile_writes_gives_equal_outputs() -> None:
    """One network through the C++ compiler: depthwise, pointwise and global convolutions, PReLU."""
    torch.compiler.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside TorchInductor
        actual = answers(torch.compile(settled("mobilefacenet"), fullgraph=True), images("mobilefacenet", 2))
    assert_close(actual, answers(settled("mobilefacenet"), images("mobilefacenet", 2)), relative=1e-3)


@cache
def exported(name: str) -> torch.export.ExportedProgram:
    batch = torch.export.Dim("batch", min=1, max=64)
    inputs = images(name, 2)
    return torch.export.export(settled(name), inputs, dynamic_shapes=tuple({0: batch} for _ in inputs))


@each_exported
@pytest.mark.parametrize("count", [1, 3])
def test_torch_export_gives_equal_outputs_at_any_batch_size(name: str, count: int) -> None:
    program = exported(name).module()
    batch = images(name, count, seed=6)
    assert_close(answers(program, batch), answers(settled(name), batch), relative=1e-4)


@pytest.mark.parametrize("name", TO_ONNX)
def test_onnx_gives_equal_outputs_at_any_batch_size(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the exporter
        program = torch.onnx.export(
            exported(name), images(name, 2), dynamo=True, verbose=False, optimize=False
        )
    assert program is not None
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    for count in (1, 3):
        batch = images(name, count, seed=6)
        feeds = {node.name: one.numpy() for node, one in zip(session.get_inputs(), batch, strict=True)}
        actual = [torch.from_numpy(np.asarray(output)) for output in session.run(None, feeds)]
        assert_close(actual, answers(settled(name), batch), relative=1e-3)


def summary(outputs: list[Tensor]) -> list[float]:
    """Three numbers that change when anything does: mean, mean magnitude, and one value in the middle."""
    values = torch.cat([output.flatten() for output in outputs])
    middle = values[len(values) // 2]
    return [round(float(number), 5) for number in (values.mean(), values.abs().mean(), middle)]


GOLDEN: dict[str, list[float]] = {
    "mtcnn-pnet": [0.0065, 0.12486, -0.09836],
    "mtcnn-rnet": [-0.36897, 0.41547, -0.37854],
    "mtcnn-onet": [-0.01705, 0.15404, 0.17835],
    "retinaface-mobilenet0.25": [0.00747, 0.05231, -0.00319],
    "yolov5-face-n-0.5": [-0.34358, 0.7534, 0.89935],
    "mobilenet-v1-x0.25": [-0.0034, 0.48827, 0.31636],
    "resnet-18": [0.01615, 0.49775, 0.6792],
    "inception-resnet-v1": [0.00136, 0.03081, -0.004],
    "facenet-mobilenet-v1-x0.25": [0.00375, 0.06027, 0.02854],
    "siamese-mobilefacenet-head": [-12.53163, 12.53163, -13.03879],
    "mobilefacenet": [-0.15014, 2.00686, 5.00187],
    "mobilefacenet-relu": [0.33341, 1.62254, -2.13313],
    "compact-resnet-slim": [-0.00757, 1.66602, 2.62366],
    "iresnet18": [0.03469, 0.96727, -1.52239],
    "iresnet18-se": [0.00891, 1.03684, 1.25137],
    "sface": [0.01014, 1.39073, -4.26021],
    "slim-sface": [0.11044, 1.11335, -0.89476],
}


@each_architecture
def test_seed_0_gives_the_golden_output(name: str) -> None:
    actual = summary(answers(settled(name), images(name, 2, seed=2)))
    assert actual == pytest.approx(GOLDEN[name], rel=2e-3, abs=1e-4), f"{name!r}: {actual},"


def test_every_architecture_is_among_the_small_ones() -> None:
    def families(names: Iterable[str]) -> set[str]:
        return {name.split("-")[0].rstrip("0123456789") for name in names}

    assert families(SMALL) == families(NETWORKS)
