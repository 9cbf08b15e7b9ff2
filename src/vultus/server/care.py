"""What goes over the wire of those who care for a gallery: the doctor's findings, the proof of an erasure."""

from functools import reduce
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field

from vultus.gallery.diagnosis import Diagnosis, Kind
from vultus.gallery.erasure import Erasure
from vultus.server.answers import PersonOut, person_out


class TemplatePlace(BaseModel):
    """One enrolled face."""

    person_id: str
    template_id: int


class FindingOut(BaseModel):
    """One thing that deserves a look."""

    kind: Kind
    people: Annotated[list[PersonOut], Field(description="Whom it concerns.")]
    templates: Annotated[list[TemplatePlace], Field(description="The faces that show it.")]
    similarity: Annotated[float | None, Field(description="That gave rise to it.")]
    reason: Annotated[str, Field(description="In words.")]
    commands: Annotated[list[str], Field(description="One of which mends it, on the service's machine.")]


class DiagnosisOut(BaseModel):
    """What an examination of the gallery found, the gravest first."""

    people: Annotated[int, Field(description="How many were looked at.")]
    templates: Annotated[int, Field(description="How many were compared.")]
    min_similarity: Annotated[float, Field(description="for comparing two faces")]
    findings: list[FindingOut]


class SearchedOut(BaseModel):
    """A file, or a table, that was searched for what might be left."""

    name: str
    n_bytes: int


class ErasureOut(BaseModel):
    """What was erased, and the proof."""

    id: Annotated[str, Field(description="Of the person; from here on it stands in no file of the gallery.")]
    templates: Annotated[int, Field(description="How many were deleted.")]
    fragments: Annotated[int, Field(description="Different pieces that were searched for.")]
    searched: list[SearchedOut]
    found: Annotated[list[str], Field(description="Where something still stands; empty is the proof.")]
    is_proven: bool
    is_log_empty: Annotated[bool, Field(description="Whether a gallery's file could be written anew.")]


def diagnosed(found: Diagnosis) -> DiagnosisOut:
    """What an examination found."""
    findings = [
        FindingOut(
            kind=one.kind,
            people=[person_out(person) for person in one.people],
            templates=[
                TemplatePlace(person_id=person, template_id=number) for person, number in one.templates
            ],
            similarity=one.similarity,
            reason=one.reason,
            commands=[_without_place(command) for command in one.commands],
        )
        for one in found.findings
    ]
    return DiagnosisOut(
        people=found.people, templates=found.templates, min_similarity=found.min_similarity, findings=findings
    )


def _without_place(command: str) -> str:
    """A command without the gallery's address, which is nobody's business."""
    return command.rpartition(" --gallery ")[0]


def erased(proof: Erasure) -> ErasureOut:
    """What was erased, and what is left; files by their names, without the server's folders."""
    folders = {f"{Path(file).parent}/" for file, _ in proof.searched if Path(file).is_absolute()}
    return ErasureOut(
        id=proof.identity_id,
        templates=proof.templates,
        fragments=proof.fragments,
        searched=[SearchedOut(name=Path(file).name, n_bytes=size) for file, size in proof.searched],
        found=[
            reduce(lambda text, folder: text.replace(folder, ""), folders, place) for place in proof.found
        ],
        is_proven=proof.is_proven,
        is_log_empty=proof.is_log_empty,
    )
