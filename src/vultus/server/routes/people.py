"""`/v1/people` and their templates: who is enrolled."""

from base64 import b64encode
from typing import Annotated, Any

from fastapi import Depends, Path, Query
from starlette.responses import Response

from vultus.access.forgetting import forget_person
from vultus.access.keys import Scope
from vultus.errors import GalleryError, NotEnrolledError
from vultus.gallery.erasure import erase_anywhere
from vultus.gallery.names import checked_metadata, name_key
from vultus.image import encode_png
from vultus.pipeline import EnrolmentPolicy
from vultus.server.answers import (
    EnrolmentOut,
    PeopleOut,
    PersonOut,
    TemplateOut,
    TemplatesOut,
    enrolled,
    person_out,
)
from vultus.server.body import read_as
from vultus.server.care import ErasureOut, erased
from vultus.server.guard import GuardedRoute, service_of
from vultus.server.images import decode_images
from vultus.server.requests import EnrolIn, PersonChange, PersonIn
from vultus.server.service import Service

InService = Annotated[Service, Depends(service_of)]
PersonId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="The person's id.")]
TemplateId = Annotated[int, Path(ge=1, le=2**62)]
ReadPerson = Annotated[PersonIn, Depends(read_as(PersonIn))]
ReadPhotos = Annotated[EnrolIn, Depends(read_as(EnrolIn))]
ReadChange = Annotated[PersonChange, Depends(read_as(PersonChange))]


def list_people(
    service: InService,
    search: Annotated[str | None, Query(max_length=200, description="Part of a name, case aside.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
) -> PeopleOut:
    """A page of the people who are enrolled, by name."""
    wanted = name_key(search or "")
    found = [person for person in service.gallery.people() if wanted in name_key(person.name)]
    page = found[offset : offset + limit]
    return PeopleOut(total=len(found), people=[person_out(person) for person in page])


def create_person(body: ReadPerson, service: InService) -> EnrolmentOut:
    """Enrol somebody new: all photos, or none."""
    try:
        known = service.gallery.find(body.name)
    except NotEnrolledError:
        return _enrol(body.name, body, service)
    raise GalleryError(
        f"'{known.name}' is enrolled already, with the id {known.id}: add photos to them, or choose another "
        "name"
    )


def get_person(person_id: PersonId, service: InService) -> PersonOut:
    """One person."""
    return person_out(service.gallery.find(person_id))


def change_person(person_id: PersonId, body: ReadChange, service: InService) -> PersonOut:
    """Give somebody another name, other metadata, or both."""
    person = service.gallery.find(person_id)
    if body.metadata is not None:
        checked_metadata(body.metadata)  # before anything is changed
    if body.name is not None:
        person = service.gallery.rename(person_id, body.name)
    if body.metadata is not None:
        person = service.gallery.set_metadata(person_id, body.metadata)
    return person_out(person)


def delete_person(person_id: PersonId, service: InService) -> Response:
    """Delete somebody with all templates; the log of decisions forgets their name."""
    service.gallery.remove(person_id)
    service.decisions.forget(person_id)
    return Response(status_code=204)


def erase_person(person_id: PersonId, service: InService) -> ErasureOut:
    """Delete somebody, overwrite what was theirs, and search the gallery for what is left.

    The service's own file forgets whom its entries were about.
    """
    person = service.gallery.find(person_id)
    proof = erase_anywhere(service.gallery, person.id)
    forget_person(service.store, person.id)
    return erased(proof)


def list_templates(
    person_id: PersonId,
    service: InService,
    crops: Annotated[bool, Query(description="With the aligned faces.")] = False,
) -> TemplatesOut:
    """The enrolled faces of one person, oldest first."""
    ids, templates = service.gallery.template_ids(person_id), service.gallery.templates(person_id)
    return TemplatesOut(
        templates=[
            TemplateOut(
                id=template_id,
                quality=one.quality,
                source=one.source,
                crop=b64encode(encode_png(one.crop)).decode() if crops and one.crop is not None else None,
            )
            for template_id, one in zip(ids, templates, strict=False)  # one may be enrolled in between
        ]
    )


def enrol_templates(person_id: PersonId, body: ReadPhotos, service: InService) -> EnrolmentOut:
    """Add photos to somebody: all of them, or none."""
    return _enrol(service.gallery.find(person_id).name, body, service)


def delete_template(person_id: PersonId, template_id: TemplateId, service: InService) -> PersonOut:
    """Delete one enrolled face, but not somebody's last."""
    return person_out(service.gallery.remove_template(person_id, template_id))


def _enrol(name: str, body: EnrolIn, service: Service) -> EnrolmentOut:
    metadata = body.metadata if isinstance(body, PersonIn) else None
    policy = EnrolmentPolicy(faces=body.faces, force=body.force)
    images = decode_images(body.images, service.settings)
    return enrolled(service.recognizer.enrol(name, list(images), metadata=metadata, policy=policy))


def _links(place: str, *operations: str) -> dict[str, Any]:
    """In OpenAPI: which operations take the id that stands in an answer."""
    links = {
        name: {"operationId": name, "parameters": {"person_id": f"$response.body#/{place}"}}
        for name in operations
    }
    return {"responses": {"201": {"links": links}}}


OF_PERSON = (
    "get_person", "change_person", "list_templates", "enrol_templates", "delete_template", "erase_person",
    "delete_person",
)  # fmt: skip
PERSON = "/v1/people/{person_id}"
TEMPLATES = f"{PERSON}/templates"
ROUTES = [
    GuardedRoute("/v1/people", list_people, method="GET", needs=Scope.READ, tags=["people"]),
    GuardedRoute(
        "/v1/people",
        create_person,
        method="POST",
        document=_links("person/id", *OF_PERSON),
        needs=Scope.ENROL,
        body=PersonIn,
        is_write=True,
        status_code=201,
        tags=["people"],
    ),
    GuardedRoute(PERSON, get_person, method="GET", needs=Scope.READ, tags=["people"]),
    GuardedRoute(
        PERSON,
        change_person,
        method="PATCH",
        needs=Scope.ENROL,
        body=PersonChange,
        is_write=True,
        tags=["people"],
    ),
    GuardedRoute(
        PERSON,
        delete_person,
        method="DELETE",
        needs=Scope.ADMIN,
        is_write=True,
        status_code=204,
        tags=["people"],
    ),
    GuardedRoute(
        f"{PERSON}/erase",
        erase_person,
        method="POST",
        needs=Scope.ADMIN,
        is_write=True,
        is_forgetful=True,
        tags=["people"],
    ),
    GuardedRoute(TEMPLATES, list_templates, method="GET", needs=Scope.READ, tags=["people"]),
    GuardedRoute(
        TEMPLATES,
        enrol_templates,
        method="POST",
        needs=Scope.ENROL,
        body=EnrolIn,
        is_write=True,
        status_code=201,
        tags=["people"],
    ),
    GuardedRoute(
        f"{TEMPLATES}/{{template_id}}",
        delete_template,
        method="DELETE",
        needs=Scope.ENROL,
        is_write=True,
        tags=["people"],
    ),
]
