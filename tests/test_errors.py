"""The error tree, and the numbers by which the command line and the REST service answer."""

import inspect

import pytest

from vultus import errors
from vultus.errors import (
    BusyError,
    ChecksumError,
    CredentialsError,
    DeadlineError,
    DeviceError,
    ExportError,
    FaceCountError,
    GalleryError,
    ImageError,
    InputError,
    MediaTypeError,
    MissingExtraError,
    NotEnrolledError,
    RepeatedRequestError,
    ScopeError,
    ServiceError,
    ShapeError,
    SlowRequestError,
    TooLargeError,
    TrainingError,
    VultusError,
    WeightsError,
)

ANSWERS: dict[type[VultusError], tuple[int, int]] = {  # error: (exit code, HTTP status)
    VultusError: (1, 500),
    InputError: (2, 422),
    ImageError: (2, 422),
    ShapeError: (2, 422),
    FaceCountError: (2, 422),
    WeightsError: (3, 503),
    ChecksumError: (3, 503),
    MissingExtraError: (4, 501),
    GalleryError: (5, 409),
    NotEnrolledError: (5, 404),
    DeviceError: (6, 503),
    ExportError: (7, 500),
    TrainingError: (8, 500),
    ServiceError: (9, 502),
    CredentialsError: (9, 401),
    ScopeError: (9, 403),
    SlowRequestError: (9, 408),
    RepeatedRequestError: (9, 409),
    TooLargeError: (9, 413),
    MediaTypeError: (9, 415),
    BusyError: (9, 429),
    DeadlineError: (9, 503),
}


def defined() -> set[type]:
    classes = {member for _, member in inspect.getmembers(errors, inspect.isclass)}
    return {one for one in classes if one.__module__ == errors.__name__}


def test_every_error_of_the_module_is_listed_here() -> None:
    assert defined() == set(ANSWERS)


@pytest.mark.parametrize("error", ANSWERS, ids=lambda error: error.__name__)
def test_each_error_has_its_exit_code_and_http_status(error: type[VultusError]) -> None:
    assert (error.exit_code, error.http_status) == ANSWERS[error]


@pytest.mark.parametrize("error", ANSWERS, ids=lambda error: error.__name__)
def test_one_clause_catches_everything(error: type[VultusError]) -> None:
    assert issubclass(error, VultusError)
    assert issubclass(error, Exception)


@pytest.mark.parametrize("error", [ImageError, ShapeError, FaceCountError], ids=lambda error: error.__name__)
def test_bad_input_is_a_value_error(error: type[VultusError]) -> None:
    assert issubclass(error, InputError)
    assert issubclass(error, ValueError)


def test_wrong_bytes_are_a_kind_of_bad_weights_and_a_missing_extra_is_an_import_error() -> None:
    assert issubclass(ChecksumError, WeightsError)
    assert issubclass(MissingExtraError, ImportError)


@pytest.mark.parametrize("error", [WeightsError, GalleryError, DeviceError, ExportError])
def test_what_the_caller_did_not_cause_is_no_value_error(error: type[VultusError]) -> None:
    assert not issubclass(error, ValueError)


def test_the_number_of_faces_travels_with_its_error() -> None:
    error = FaceCountError("expected one face, found 3", face_count=3)
    assert str(error) == "expected one face, found 3"
    assert error.face_count == 3


def test_the_drawing_on_top_of_the_module_shows_every_error_with_its_answers() -> None:
    drawing = inspect.getdoc(errors) or ""
    for error, (exit_code, http_status) in ANSWERS.items():
        assert error.__name__ in drawing
        line = next(line for line in drawing.splitlines() if error.__name__ in line)
        if "exit" in line:  # a branch; its leaves inherit
            assert line.endswith(f"HTTP {http_status}, exit {exit_code}")


def test_an_error_has_a_name_on_the_wire() -> None:
    assert FaceCountError.code() == "face_count_error"
    assert len({error.code() for error in ANSWERS}) == len(ANSWERS)
