"""Photo in, names out: the rooms put together."""

from vultus.pipeline.enrolment import Enrolment, EnrolmentPolicy, choose_face
from vultus.pipeline.recognise import FaceEmbeddings, embed_faces, recognise, recognise_batch
from vultus.pipeline.recognizer import FaceRecognizer

__all__ = [
    "Enrolment",
    "EnrolmentPolicy",
    "FaceEmbeddings",
    "FaceRecognizer",
    "choose_face",
    "embed_faces",
    "recognise",
    "recognise_batch",
]
