"""What comes over the wire. A field that is not known is refused, not ignored."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from vultus.choices import FaceChoice
from vultus.errors import InputError
from vultus.server.body import Body, ImageFile

_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAG7buVgAAAABJRU5ErkJggg=="


def _encodable(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """JSON can spell halves of characters (a lone surrogate), which no text can hold."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise InputError(f"no JSON that can be stored: {error}") from error
    return value


def _from_text(value: object) -> object:
    """In a multipart body an object comes as JSON in a text part."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise InputError(f"expected a JSON object: {error}") from error


Images = Annotated[list[ImageFile], Field(min_length=1, description="Files: JPEG, PNG, WebP, ...")]
Name = Annotated[str, Field(min_length=1, max_length=200, description="Up to 200 visible characters.")]
Metadata = Annotated[dict[str, Any], BeforeValidator(_from_text), AfterValidator(_encodable)]
TopK = Annotated[int, Field(ge=1, le=100, description="How many candidates to list for each face.")]
Faces = Annotated[FaceChoice, Field(description="Which face is meant where an image shows several.")]


class ImagesIn(Body):
    """Images."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"images": [_PNG]}]})

    images: Images


class PairIn(Body):
    """Two images, one face each."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"first": _PNG, "second": _PNG}]})

    first: ImageFile
    second: ImageFile
    faces: Faces = FaceChoice.ONLY


class IdentifyIn(Body):
    """Images of whoever."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"images": [_PNG], "top_k": 1}]})

    images: Images
    top_k: TopK = 5


class EnrolIn(Body):
    """Photos of one person."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"images": [_PNG]}]})

    images: Images
    faces: Faces = FaceChoice.ONLY
    force: Annotated[bool, Field(description="Enrol in spite of failed checks.")] = False


class PersonIn(EnrolIn):
    """A new person, with photos."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Ada", "images": [_PNG], "metadata": {"team": "blue"}}]}
    )

    name: Name
    metadata: Metadata | None = None


class PersonChange(Body):
    """What is to be different; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Ada Lovelace"}]})

    name: Name | None = None
    metadata: Metadata | None = None


class DecideIn(Body):
    """What a door's camera sees."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"image": _PNG, "door": "default"}]})

    image: ImageFile
    door: Annotated[str, Field(min_length=1, max_length=64)] = "default"


class CalibrateIn(Body):
    """Which error rates are wanted."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"fmr": 0.001, "fpir": 0.01}]})

    fmr: Annotated[float, Field(gt=0, lt=1, description="False match rate of one comparison.")] = 1e-3
    fpir: Annotated[float, Field(gt=0, lt=1, description="Share of strangers who may be named.")] = 1e-2
