"""The archives of WIDER FACE: where they are served, their published hashes, and what is in them.

The SHA-256 of images and labels are those of TensorFlow Datasets (`wider_face/checksums.tsv`); that of the
evaluation tools, which is not in its list, was found pinned alike in two unrelated public projects. The data
set is for research, not for commercial use (CC BY-NC-ND 4.0).

Yang, Luo, Loy, Tang: WIDER FACE: a face detection benchmark. CVPR 2016. https://arxiv.org/abs/1511.06523
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from vultus.training.data.archives import PublishedArchive


class Part(StrEnum):
    """What can be fetched alone."""

    TRAIN = "train"
    VAL = "val"
    LABELS = "labels"
    EVALUATION = "evaluation"


_SERVED: Final = "https://huggingface.co/datasets/CUHK-CSE/wider_face/resolve/main/data"
_AUTHORS: Final = "http://shuoyang1213.me/WIDERFACE/support"  # http only; the hash is what is trusted

ARCHIVES: Final[Mapping[Part, PublishedArchive]] = MappingProxyType(
    {
        Part.TRAIN: PublishedArchive(
            name="WIDER_train.zip",
            url=f"{_SERVED}/WIDER_train.zip",
            sha256="e23b76129c825cafae8be944f65310b2e1ba1c76885afe732f179c41e5ed6d59",
            n_bytes=1_465_602_149,
            folder="WIDER_train",
            holds="images/*/*.jpg",
            n_files=12_880,
        ),
        Part.VAL: PublishedArchive(
            name="WIDER_val.zip",
            url=f"{_SERVED}/WIDER_val.zip",
            sha256="f9efbd09f28c5d2d884be8c0eaef3967158c866a593fc36ab0413e4b2a58a17a",
            n_bytes=362_752_168,
            folder="WIDER_val",
            holds="images/*/*.jpg",
            n_files=3_226,
        ),
        Part.LABELS: PublishedArchive(
            name="wider_face_split.zip",
            url=f"{_SERVED}/wider_face_split.zip",
            sha256="c7561e4f5e7a118c249e0a5c5c902b0de90bbf120d7da9fa28d99041f68a8a5c",
            n_bytes=3_591_642,
            folder="wider_face_split",
            holds="wider_face_*_bbx_gt.txt",
            n_files=2,
        ),
        Part.EVALUATION: PublishedArchive(
            name="eval_tools.zip",
            url=f"{_AUTHORS}/eval_script/eval_tools.zip",
            sha256="1cf49c8243fa8a1632efe7f6aa09fd7a3994ac838c9008bdbc9dd1d547bb234a",
            n_bytes=8_447_003,
            folder="eval_tools",
            holds="ground_truth/wider_*_val.mat",
            n_files=4,
        ),
    }
)
