"""Photo in, names out: the rooms put together."""

from vultus.pipeline.enrolment import Enrolment, EnrolmentPolicy, choose_face
from vultus.pipeline.own_embedder import embedder_of
from vultus.pipeline.recognise import FaceEmbeddings, embed_faces, recognise, recognise_batch
from vultus.pipeline.recognizer import FaceRecognizer
from vultus.pipeline.thresholds import calibration_for, threshold_for_gallery, threshold_for_pair

__all__ = [
    "Enrolment",
    "EnrolmentPolicy",
    "FaceEmbeddings",
    "FaceRecognizer",
    "calibration_for",
    "choose_face",
    "embed_faces",
    "embedder_of",
    "recognise",
    "recognise_batch",
    "threshold_for_gallery",
    "threshold_for_pair",
]
