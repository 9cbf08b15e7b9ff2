"""`/v1/detect`, `embed`, `verify`, `identify`: what asks and changes nothing."""

from typing import Annotated

from fastapi import Depends

from vultus.access.keys import Scope
from vultus.pipeline import embed_faces
from vultus.server.answers import (
    DetectedImageOut,
    DetectOut,
    EmbeddedFaceOut,
    EmbeddedImageOut,
    EmbedOut,
    FaceOut,
    IdentifyOut,
    VerifyOut,
    face_fields,
    identified,
    size_hw,
    verified,
)
from vultus.server.body import read_as
from vultus.server.guard import GuardedRoute, service_of
from vultus.server.images import decode_images
from vultus.server.requests import IdentifyIn, ImagesIn, PairIn
from vultus.server.service import Service

InService = Annotated[Service, Depends(service_of)]


def detect(body: Annotated[ImagesIn, Depends(read_as(ImagesIn))], service: InService) -> DetectOut:
    """The faces in each image, best score first."""
    images = decode_images(body.images, service.settings)
    found = service.recognizer.detector.detect_batch(images)
    return DetectOut(
        results=[
            DetectedImageOut(size_hw=size_hw(image), faces=[FaceOut(**face_fields(face)) for face in faces])
            for image, faces in zip(images, found, strict=True)
        ]
    )


def embed(body: Annotated[ImagesIn, Depends(read_as(ImagesIn))], service: InService) -> EmbedOut:
    """The faces in each image, each with its unit vector."""
    images = decode_images(body.images, service.settings)
    found = service.recognizer.detector.detect_batch(images)
    embedder = service.recognizer.embedder
    results = [
        EmbeddedImageOut(
            size_hw=size_hw(image),
            faces=[
                EmbeddedFaceOut(**face_fields(face), embedding=row.tolist() if is_usable else None)
                for face, row, is_usable in zip(one.faces, one.embeddings, one.usable, strict=True)
            ],
        )
        for image, one in zip(images, embed_faces(images, found, embedder=embedder), strict=True)
    ]
    return EmbedOut(contract=embedder.contract, results=results)


def verify(body: Annotated[PairIn, Depends(read_as(PairIn))], service: InService) -> VerifyOut:
    """Whether two images show the same person."""
    first, second = decode_images([body.first, body.second], service.settings)
    return verified(service.recognizer.verify(first, second, faces=body.faces))


def identify(body: Annotated[IdentifyIn, Depends(read_as(IdentifyIn))], service: InService) -> IdentifyOut:
    """Who is in each image: "no_face", "unknown", "not_enough_evidence" and "known" are different answers."""
    images = decode_images(body.images, service.settings)
    seen = service.recognizer.identify_batch(images, top_k=body.top_k)
    return IdentifyOut(results=[identified(image, one) for image, one in zip(images, seen, strict=True)])


ROUTES = [
    GuardedRoute("/v1/detect", detect, method="POST", needs=Scope.READ, body=ImagesIn, tags=["faces"]),
    GuardedRoute("/v1/embed", embed, method="POST", needs=Scope.READ, body=ImagesIn, tags=["faces"]),
    GuardedRoute("/v1/verify", verify, method="POST", needs=Scope.READ, body=PairIn, tags=["faces"]),
    GuardedRoute("/v1/identify", identify, method="POST", needs=Scope.READ, body=IdentifyIn, tags=["faces"]),
]
