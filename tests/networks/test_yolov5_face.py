import math
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from vultus.errors import InputError, ShapeError, WeightsError
from vultus.geometry.anchors import YOLOV5_FACE_ANCHORS
from vultus.networks.onnx_weights import load_onnx_convolutions
from vultus.networks.yolov5_face import (
    CONFIGS,
    VARIANTS,
    Bottleneck,
    ShuffleUnit,
    YOLOv5FaceConfig,
    YOLOv5FaceNet,
    yolov5_face,
)

# The six faces of six-friends.jpg as another detector sees them (RetinaFace-mobilenet0.25, its publisher's
# code): x1 y1 x2 y2, then the five points.
RETINAFACE = """
    742.4 348.0 841.4 476.0 760.7 400.0 801.1 400.5 773.3 430.0 763.1 436.5 804.9 436.3
    463.0 264.4 572.9 415.1 489.7 318.5 540.4 331.3 506.5 364.1 482.3 367.0 532.5 377.3
    61.1 264.9 166.6 392.4 86.7 327.6 127.1 304.6 119.3 334.2 115.8 369.0 148.2 349.4
    903.4 54.6 1008.2 199.4 916.0 116.7 945.9 113.9 919.1 149.3 936.2 167.3 956.7 164.0
    271.1 147.2 365.7 267.2 287.3 207.7 320.2 195.8 305.1 230.3 312.5 244.5 338.8 234.0
    1132.1 274.9 1223.1 397.0 1150.7 325.4 1190.8 324.3 1167.5 348.6 1153.2 363.5 1192.3 362.4
"""


@pytest.fixture(scope="module")
def onnx_file(shared: Path) -> Path:
    return shared / "weights" / "yolov5n-0.5-face.onnx"


@pytest.fixture(scope="module")
def public(onnx_file: Path) -> YOLOv5FaceNet:
    network = yolov5_face("n-0.5")
    load_onnx_convolutions(network, onnx_file, example=torch.zeros(1, 3, 64, 64))
    return network.eval()


def letterboxed(path: Path, scale: float) -> Tensor:
    """(1, 3, 640, 640) RGB, 0..255: the scaled photo in the upper left corner, gray elsewhere."""
    photo = Image.open(path).convert("RGB")
    canvas = Image.new("RGB", (640, 640), (114, 114, 114))
    canvas.paste(
        photo.resize((round(photo.width * scale), round(photo.height * scale)), Image.Resampling.BOX)
    )
    return torch.from_numpy(np.array(canvas)).permute(2, 0, 1)[None]


def sigmoid(t: float) -> float:
    return 1 / (1 + math.exp(-t))


def decode(t: list[float], stride: int, row: int, column: int, anchor: tuple[int, int]) -> list[float]:
    """The paper's decoding of one anchor's 16 numbers: x1 y1 x2 y2, then the five points, in input pixels."""
    x = (2 * sigmoid(t[0]) - 0.5 + column) * stride
    y = (2 * sigmoid(t[1]) - 0.5 + row) * stride
    half_w = (2 * sigmoid(t[2])) ** 2 * anchor[0] / 2
    half_h = (2 * sigmoid(t[3])) ** 2 * anchor[1] / 2
    points = [
        value * anchor[axis] + (column, row)[axis] * stride
        for value, axis in zip(t[5:15], [0, 1] * 5, strict=True)
    ]
    return [x - half_w, y - half_h, x + half_w, y + half_h, *points]


def confident(outputs: tuple[Tensor, ...], min_score: float) -> list[tuple[float, int, int, list[float]]]:
    """Score, stride, anchor and decoded numbers of every anchor that scores at least `min_score`."""
    found = []
    for stride, anchors, output in zip((8, 16, 32), YOLOV5_FACE_ANCHORS, outputs, strict=True):
        scores = output[0, ..., 4].sigmoid() * output[0, ..., 15].sigmoid()
        for anchor, row, column in torch.nonzero(scores >= min_score).tolist():
            t = output[0, anchor, row, column].tolist()
            decoded = decode(t, stride, row, column, anchors[anchor])
            found.append((scores[anchor, row, column].item(), stride, anchor, decoded))
    return found


def iou(one: list[float], other: list[float]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    inter = max(0.0, width) * max(0.0, height)
    return inter / sum([(b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)], -inter)


@pytest.mark.parametrize("photo", ["six-friends.jpg", "crowd-25.jpg"])
def test_outputs_equal_the_public_networks(
    public: YOLOv5FaceNet, onnx_file: Path, photos: Path, photo: str
) -> None:
    images = public.prepare(letterboxed(photos / photo, 0.4))
    session = onnxruntime.InferenceSession(onnx_file, providers=["CPUExecutionProvider"])
    expected = session.run(None, {"data": images.numpy()})
    with torch.no_grad():
        outputs = public(images)
    assert [tuple(output.shape) for output in outputs] == [(1, 3, side, side, 16) for side in (80, 40, 20)]
    for output, other in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(output, other, rtol=0, atol=5e-4)  # 6e-5 measured; values reach 37
    ours = confident(outputs, 0.3)
    theirs = confident(tuple(torch.from_numpy(other) for other in expected), 0.3)
    assert len(ours) == len(theirs) > 10
    for one, two in zip(ours, theirs, strict=True):
        assert one[3] == pytest.approx(two[3], abs=1e-2)  # pixels


@pytest.mark.parametrize(
    ("scale", "visible_count", "found_count", "anchors", "max_error"),
    [
        (0.1, 6, 5, {(8, 0), (8, 1), (8, 2)}, 0.12),
        (0.5, 6, 6, {(16, 0), (16, 1), (16, 2)}, 0.04),
        (1.0, 3, 3, {(32, 0), (32, 1), (32, 2)}, 0.04),
    ],
)
def test_the_public_weights_find_faces_and_points_with_each_of_the_nine_anchors(
    public: YOLOv5FaceNet,
    photos: Path,
    scale: float,
    visible_count: int,
    found_count: int,
    anchors: set[tuple[int, int]],
    max_error: float,
) -> None:
    """Shows that the anchors are those of the weights: others would give boxes and points elsewhere."""
    with torch.no_grad():
        found = confident(public(public.prepare(letterboxed(photos / "six-friends.jpg", scale))), 0.5)
    faces = np.array([line.split() for line in RETINAFACE.strip().splitlines()], float) * scale
    faces = faces[(faces[:, :4] < 640).all(axis=1)]
    assert len(faces) == visible_count
    assert anchors <= {(stride, anchor) for _, stride, anchor, _ in found}
    seen = set()
    for _, stride, anchor, decoded in found:
        overlaps = [iou(decoded[:4], face[:4]) for face in faces.tolist()]
        best = int(np.argmax(overlaps))
        seen.add(best)
        assert overlaps[best] > 0.55, (stride, anchor)
        height_px = faces[best, 3] - faces[best, 1]
        error_px = np.abs(np.array(decoded[4:]) - faces[best, 4:]).mean()
        assert error_px / height_px < max_error, (stride, anchor)
    assert len(seen) == found_count  # one face of 12 pixels is missed


def test_a_photo_without_faces_has_none(public: YOLOv5FaceNet, photos: Path) -> None:
    with torch.no_grad():
        assert confident(public(public.prepare(letterboxed(photos / "no-faces.jpg", 2))), 0.5) == []


def test_weights_of_another_size_are_refused(onnx_file: Path) -> None:
    with pytest.raises(WeightsError, match="first shape that differs"):
        load_onnx_convolutions(yolov5_face("n"), onnx_file, example=torch.zeros(1, 3, 64, 64))


@pytest.mark.parametrize("size", [size for size in CONFIGS if size != "n6"])
def test_costs_are_the_published_ones(size: str) -> None:
    """At 640 x 480 (P6: 640 x 512); the published operations add two per batch-normalised value."""
    normalised = 0

    def count(_: nn.Module, __: object, output: Tensor) -> None:
        nonlocal normalised
        normalised += output.numel()

    variant = VARIANTS[f"yolov5-face-{size}"]
    assert variant.published is not None
    with torch.device("meta"):
        network = variant.build().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(count)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, *variant.size_hw, device="meta"))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert parameters / 1e6 == pytest.approx(variant.published.params_m, abs=5.1e-4)
    operations = (counter.get_total_flops() / 2 + 2 * normalised) / 1e9
    assert operations == pytest.approx(variant.published.gflops, abs=1e-3)


@pytest.mark.parametrize("size", CONFIGS)
def test_there_is_one_output_per_stride(size: str) -> None:
    strides = CONFIGS[size].strides
    assert strides == ((8, 16, 32, 64) if size.endswith("6") else (8, 16, 32))
    with torch.device("meta"):
        outputs = yolov5_face(size).eval()(torch.zeros(2, 3, 128, 192))
    assert [tuple(output.shape) for output in outputs] == [(2, 3, 128 // s, 192 // s, 16) for s in strides]


@pytest.mark.parametrize(
    ("size", "shape", "multiple"),
    [
        ("n-0.5", (1, 3, 64, 80), 32),
        ("n-0.5", (1, 3, 33, 64), 32),
        ("s6", (1, 3, 64, 96), 64),
        ("n6", (1, 3, 96, 64), 64),
        ("n-0.5", (1, 1, 64, 64), 32),
        ("n-0.5", (3, 64, 64), 32),
    ],
)
def test_images_of_another_shape_are_refused(size: str, shape: tuple[int, ...], multiple: int) -> None:
    with torch.device("meta"):
        network, images = yolov5_face(size), torch.zeros(shape)
    with pytest.raises(ShapeError, match=rf"H and W multiples of {multiple}, got \({shape[0]}, .*letterbox"):
        network(images)


def test_outputs_are_ordered_by_anchor_row_column_value() -> None:
    network = yolov5_face().eval()
    for head in network.heads:
        weight, bias = head.parameters()
        nn.init.zeros_(weight)
        bias.data = torch.arange(48.0)
    with torch.no_grad():
        output = network(torch.randn(1, 3, 32, 64))[0]
    expected = torch.arange(48.0).reshape(3, 1, 1, 16).expand(3, 4, 8, 16)
    assert torch.equal(output[0], expected)


def test_the_branches_of_a_shuffle_unit_alternate_and_half_of_it_passes_by() -> None:
    torch.manual_seed(0)
    unit = ShuffleUnit(6, 6, stride=1).eval()
    features = torch.randn(1, 6, 5, 5)
    with torch.no_grad():
        mixed = unit(features)
        assert torch.equal(mixed[:, 0::2], features[:, :3])
        assert torch.equal(mixed[:, 1::2], unit.branch(features[:, 3:]))


def test_a_bottleneck_may_have_a_shortcut() -> None:
    torch.manual_seed(0)
    with_shortcut, without = (Bottleneck(4, has_shortcut=has).eval() for has in (True, False))
    without.load_state_dict(with_shortcut.state_dict())
    features = torch.randn(1, 4, 5, 5)
    with torch.no_grad():
        torch.testing.assert_close(with_shortcut(features) - features, without(features))


def test_only_the_trunk_before_spp_has_shortcuts() -> None:
    with torch.device("meta"):
        network = yolov5_face("s")
    shortcuts = {
        name: module.has_shortcut
        for name, module in network.named_modules()
        if isinstance(module, Bottleneck)
    }
    assert len(shortcuts) == 1 + 3 + 3 + 1 + 4
    assert all(
        has == name.startswith(("stages.0", "stages.1", "stages.2")) for name, has in shortcuts.items()
    )


def test_images_are_scaled_to_0_and_1() -> None:
    prepared = yolov5_face().prepare(torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(1, 3, 1, 1))
    torch.testing.assert_close(prepared.flatten(), torch.tensor([0.0, 0.2, 1.0]))


def test_a_new_network_sees_hardly_any_face() -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        outputs = yolov5_face().eval()(torch.rand(1, 3, 64, 64))
    for output in outputs:
        torch.testing.assert_close(
            output[..., 4].sigmoid(), torch.full_like(output[..., 4], 0.01), rtol=0.2, atol=0
        )
        assert output[..., [0, 1, 2, 3, *range(5, 16)]].abs().max() < 0.5


def test_an_unknown_size_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"unknown size 'x'; choose one of n-0\.5, n, s, m, l, n6, s6, m6, l6"
    ):
        yolov5_face("x")


def test_a_configuration_whose_lengths_disagree_is_refused() -> None:
    with pytest.raises(InputError, match="a depth for each"):
        YOLOv5FaceConfig("csp", 8, (16, 16, 16, 16), (1, 1, 1), (16, 16, 16))
    with pytest.raises(InputError, match="anchors for each"):
        YOLOv5FaceConfig("csp", 8, (16, 16, 16, 16), (1, 1, 1, 1), (16, 16))


def test_p6_anchors_grow_with_the_stride() -> None:
    heights = [height for level in CONFIGS["s6"].anchors for _, height in level]
    assert len(heights) == 12
    assert heights == sorted(heights)


@pytest.mark.parametrize("size", ["s", "n6", "s6"])
def test_gradients_reach_every_parameter_of_a_csp_network(size: str) -> None:
    torch.manual_seed(0)
    network = yolov5_face(size)
    outputs = network(torch.rand(2, 3, 128, 128))
    torch.autograd.backward([output.square().sum() for output in outputs])
    gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
    assert [name for name, gradient in gradients.items() if gradient is None or not gradient.any()] == []
