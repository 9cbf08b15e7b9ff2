"""The other packages, in their own environment: from the bytes of a photo to embeddings, when asked.

Started by `peers.py` with the Python of that environment. Each line of standard input names a peer and a
photo, as JSON; each answer is a line with the seconds that it took and the number of faces. While it waits it
takes no processor time, so that both sides can take turns.

facenet-pytorch's embedding network has fresh weights (its own cannot be fetched everywhere): the time is the
same. Where torchvision is missing, its non-maximum suppression is the tests' stand-in, and counts as free.
"""

import argparse
import importlib.util
import json
import sys
import time
import warnings
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np

STAND_IN = Path(__file__).resolve().parents[1] / "tests" / "detect" / "torchvision_stand_in.py"
MIN_SCORES = (0.9, 0.6)  # OpenCV's own default, with which it misses faces here; that of OpenCV zoo's class


def stand_in() -> ModuleType | None:
    """The tests' stand-in for torchvision, unless the real one is here."""
    if importlib.util.find_spec("torchvision") is not None:
        return None
    spec = importlib.util.spec_from_file_location("torchvision_stand_in", STAND_IN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class FacenetPytorch:
    """MTCNN and Inception-ResNet-V1, put together as in its README: the first cuts the faces out."""

    def __init__(self, min_face_px: float, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self._torch = torch
        self._fake = stand_in()
        with self._fake.torchvision_stand_in() if self._fake else nullcontext(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from facenet_pytorch import MTCNN, InceptionResnetV1
        self._mtcnn = MTCNN(keep_all=True, min_face_size=min_face_px)
        self._resnet = InceptionResnetV1(pretrained=None, classify=False).eval()

    def embed(self, data: bytes) -> int:
        """The number of faces."""
        import io

        from PIL import Image

        crops = self._mtcnn(Image.open(io.BytesIO(data)).convert("RGB"))
        if crops is None:
            return 0
        with self._torch.no_grad():
            return len(self._resnet(crops))

    def free_seconds(self) -> float:
        """What was spent in the stand-in so far."""
        return self._fake.SECONDS["batched_nms"] if self._fake else 0.0


class OpenCv:
    """YuNet and SFace with OpenCV's own classes.

    Args:
        min_score: what YuNet takes for a face.
    """

    def __init__(self, yunet: Path, sface: Path, threads: int, *, min_score: float) -> None:
        cv2.setNumThreads(threads)
        self._detector = cv2.FaceDetectorYN.create(str(yunet), "", (320, 320), min_score)
        self._recognizer = cv2.FaceRecognizerSF.create(str(sface), "")

    def embed(self, data: bytes) -> int:
        """The number of faces."""
        image: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        self._detector.setInputSize((image.shape[1], image.shape[0]))
        faces: Any = self._detector.detect(image)[1]
        if faces is None:
            return 0
        for face in faces:
            self._recognizer.feature(self._recognizer.alignCrop(image, face))
        return len(faces)

    def free_seconds(self) -> float:
        """Nothing."""
        return 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--yunet", type=Path, required=True)
    parser.add_argument("--sface", type=Path, required=True)
    arguments = parser.parse_args()
    peers: dict[str, Any] = {
        f"facenet-pytorch, min {px}": FacenetPytorch(px, arguments.threads) for px in (20, 40)
    }
    for score in MIN_SCORES:
        peers[f"OpenCV YuNet + SFace, from score {score}"] = OpenCv(
            arguments.yunet, arguments.sface, arguments.threads, min_score=score
        )
    sys.stdout.write(json.dumps(list(peers)) + "\n")
    sys.stdout.flush()
    for line in sys.stdin:
        asked = json.loads(line)
        peer, data = peers[asked["peer"]], Path(asked["photo"]).read_bytes()
        free, start = peer.free_seconds(), time.perf_counter()
        faces = peer.embed(data)
        seconds = time.perf_counter() - start - (peer.free_seconds() - free)
        sys.stdout.write(json.dumps({"seconds": seconds, "faces": faces}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
