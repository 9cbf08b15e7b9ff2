"""From a request's body to values: JSON with base64 or multipart, counted and timed while it arrives.

A body is read before anything in it is looked at, and never beyond its limit: a request that announces too
much is refused at once, one that says nothing as soon as it has sent too much.
"""

import asyncio
import base64
import binascii
import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Annotated, Any, Final, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError, WrapSerializer
from pydantic.functional_validators import BeforeValidator
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive

from vultus.errors import InputError, MediaTypeError, SlowRequestError, TooLargeError

JSON: Final = "application/json"
MULTIPART: Final = "multipart/form-data"
MAX_FIELDS: Final = 32
_EXAMPLE: Final = "iVBORw0KGgo="

Model = TypeVar("Model", bound=BaseModel)


def _image_bytes(value: object) -> object:
    """The bytes of an image file: as they are (from multipart), or from base64 (in JSON)."""
    if not isinstance(value, str):
        return value
    text = value.partition(",")[2] if value.startswith("data:") else value
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"an image in JSON is the file in base64: {error}") from error


ImageFile = Annotated[
    bytes,
    BeforeValidator(_image_bytes),
    WrapSerializer(lambda value, _: base64.b64encode(value).decode()),
    Field(json_schema_extra={"format": "byte", "examples": [_EXAMPLE]}, description="The file in base64."),
]


class Body(BaseModel):
    """What all bodies have in common: a field that is not known is an error, not ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def limited(receive: Receive, *, max_bytes: int, timeout_s: float) -> Receive:
    """`receive`, with a limit on all it gives, and on the time that takes.

    The function it returns raises TooLargeError and SlowRequestError.
    """
    loop = asyncio.get_running_loop()
    end, total, is_done = loop.time() + timeout_s, 0, False

    async def receiving() -> Message:
        nonlocal total, is_done
        if is_done:  # from here on it only tells whether the client is still there
            return await receive()
        try:
            async with asyncio.timeout_at(end):
                message = await receive()
        except TimeoutError as error:
            raise SlowRequestError(f"the request's body did not arrive within {timeout_s:g} s") from error
        total += len(message.get("body", b""))
        is_done = not message.get("more_body", False)
        if total > max_bytes:
            raise TooLargeError(f"the request's body may have {max_bytes:,} bytes; it has more")
        return message

    return receiving


def check_length(request: Request, *, max_bytes: int) -> None:
    """Refuse a body by what its head says, before a byte of it is read.

    Raises:
        TooLargeError: it is over the limit.
        MediaTypeError: it is compressed: a kilobyte can unpack to a gigabyte.
    """
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > max_bytes:
        raise TooLargeError(f"the request's body may have {max_bytes:,} bytes, this one has {int(length):,}")
    encoding = request.headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise MediaTypeError(f"bodies are read as they are, not with Content-Encoding: {encoding}")


def read_as(model: type[Model]) -> Callable[[Request], Coroutine[Any, Any, Model]]:
    """A dependency that reads the request's body as this model, whether it is JSON or multipart."""

    async def reading(request: Request) -> Model:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == JSON:
            data = await request.body()
            return await run_in_threadpool(lambda: _validated(model, _from_json(data)))
        if kind == MULTIPART:
            return _validated(model, await _from_form(request, model))
        raise MediaTypeError(f"send {JSON} or {MULTIPART}, not {kind or 'a body without Content-Type'}")

    return reading


def _validated(model: type[Model], values: object) -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_input=False, include_url=False)) from error


def _from_json(data: bytes) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:  # also what is no UTF-8
        raise InputError(f"the body is no JSON: {error}") from error


async def _from_form(request: Request, model: type[BaseModel]) -> Mapping[str, object]:
    """The parts by name: files as bytes, several of one name as a list, JSON in text parts as text."""
    values: dict[str, Any] = {}
    try:
        async with request.form(max_files=MAX_FIELDS, max_fields=MAX_FIELDS, max_part_size=2**20) as form:
            for name, part in form.multi_items():
                value = await part.read() if isinstance(part, UploadFile) else part
                if is_list(model, name):
                    values.setdefault(name, []).append(value)
                elif name in values:
                    raise InputError(f"the part {name!r:.100} is there twice")
                else:
                    values[name] = value
    except HTTPException as error:  # what the parser finds wrong with the parts
        raise InputError(f"the multipart body cannot be read: {error.detail}") from error
    return values


def is_list(model: type[BaseModel], name: str) -> bool:
    """Whether a field of the model holds several values."""
    field = model.model_fields.get(name)
    return field is not None and getattr(field.annotation, "__origin__", None) is list


def body_document(model: type[BaseModel]) -> dict[str, Any]:
    """How OpenAPI describes a body that is read by `read_as`: once as JSON, once as multipart."""
    described = model.model_json_schema()
    as_json = _in_place(described, described.pop("$defs", {}))
    as_form = json.loads(json.dumps(as_json).replace('"format": "byte"', '"format": "binary"'))
    content: dict[str, Any] = {JSON: {"schema": as_json}, MULTIPART: {"schema": as_form}}
    examples = as_json.pop("examples", None)
    as_form.pop("examples", None)
    if examples:
        content[JSON]["examples"] = {"example": {"value": examples[0]}}
    return {"requestBody": {"required": True, "content": content}}


def _in_place(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """A schema with its definitions where they are used: inside of OpenAPI, references lead elsewhere."""
    if isinstance(schema, list):
        return [_in_place(one, definitions) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _in_place(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {key: _in_place(value, definitions) for key, value in schema.items()}
