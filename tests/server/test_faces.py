"""Detecting, embedding, verifying, identifying over HTTP."""

import base64
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

Photo = Callable[..., bytes]
Server = Any


def as_json(*photos: bytes) -> list[str]:
    return [base64.b64encode(photo).decode() for photo in photos]


def files(*photos: bytes) -> list[tuple[str, tuple[str, bytes, str]]]:
    return [("images", (f"{i}.png", photo, "image/png")) for i, photo in enumerate(photos)]


def enrol(client: httpx.Client, name: str, *photos: bytes) -> Any:
    answer = client.post("/v1/people", json={"name": name, "images": as_json(*photos)})
    assert answer.status_code == 201, answer.text
    return answer.json()["person"]


def test_faces_come_with_boxes_in_the_upright_image(server: Server, photo: Photo) -> None:
    with server.client("read") as client:
        answer = client.post("/v1/detect", files=files(photo(10, 20), photo()))
    assert answer.status_code == 200, answer.text
    first, second = answer.json()["results"]
    assert first["size_hw"] == [64, 128]
    assert [face["box"] for face in first["faces"]] == [[8, 8, 56, 56], [72, 8, 120, 56]]
    assert np.array(first["faces"][0]["landmarks"]).shape == (5, 2)
    assert second["faces"] == []


def test_multipart_and_json_are_answered_alike(server: Server, photo: Photo) -> None:
    with server.client("read") as client:
        by_form = client.post("/v1/detect", files=files(photo(10)))
        by_json = client.post("/v1/detect", json={"images": as_json(photo(10))})
        by_address = client.post(
            "/v1/detect", json={"images": ["data:image/png;base64," + as_json(photo(10))[0]]}
        )
    assert by_form.json() == by_json.json() == by_address.json()
    assert len(by_form.json()["results"][0]["faces"]) == 1


def test_embeddings_are_unit_vectors_of_a_contract(server: Server, photo: Photo) -> None:
    with server.client("read") as client:
        answer = client.post("/v1/embed", json={"images": as_json(photo(10, 20))}).json()
    assert answer["contract"] == "painted"
    rows = np.array([face["embedding"] for face in answer["results"][0]["faces"]])
    assert rows.shape == (2, 16)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(("second", "is_same"), [(10, True), (20, False)])
def test_two_photos_are_compared(server: Server, photo: Photo, second: int, is_same: bool) -> None:
    with server.client("read") as client:
        answer = client.post("/v1/verify", files={"first": photo(10), "second": photo(second)}).json()
    assert answer["is_same"] is is_same
    assert answer["min_similarity"] == 0.6
    assert (answer["similarity"] >= 0.6) is is_same
    assert len(answer["faces"]) == 2


def test_which_of_several_faces_is_meant_is_asked(server: Server, photo: Photo) -> None:
    pair = {"first": as_json(photo(10, 20))[0], "second": as_json(photo(10))[0]}
    with server.client("read") as client:
        refused = client.post("/v1/verify", json=pair)
        chosen = client.post("/v1/verify", json=pair | {"faces": "largest"})
    assert refused.status_code == 422
    error = refused.json()["error"]
    assert (error["code"], error["details"]) == ("face_count_error", {"face_count": 2})
    assert error["request_id"] == refused.headers["x-request-id"]
    assert chosen.json()["is_same"] is True


def test_no_face_unknown_and_known_are_three_answers(server: Server, photo: Photo) -> None:
    with server.client() as client:
        ada = enrol(client, "Ada", photo(10))
        answer = client.post(
            "/v1/identify", files=files(photo(), photo(20), photo(20, 10)), data={"top_k": "1"}
        )
    nobody, stranger, both = answer.json()["results"]
    assert [one["answer"] for one in (nobody, stranger, both)] == ["no_face", "unknown", "known"]
    assert [face["name"] for face in both["faces"]] == [None, "Ada"]
    (candidate,) = both["faces"][1]["candidates"]
    assert candidate["id"] == ada["id"]
    assert candidate["similarity"] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "images"),
        ({"images": []}, "images"),
        ({"images": ["%%%"]}, "images.0"),
        ({"images": "text"}, "images"),
        ({"images": [as_json(b"x")[0]], "top_k": 0}, "top_k"),
        ({"images": [as_json(b"x")[0]], "tok_k": 1}, "tok_k"),
        ([], ""),
    ],
)
def test_a_wrong_body_is_told_what_is_wrong(server: Server, body: Any, where: str) -> None:
    with server.client("read") as client:
        answer = client.post("/v1/identify", json=body)
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["code"] == "validation_error"
    assert where in [".".join(map(str, one["where"])) for one in error["details"]["problems"]]


def test_the_bad_image_of_several_is_named(server: Server, photo: Photo) -> None:
    with server.client("read") as client:
        answer = client.post("/v1/detect", files=files(photo(10), b"not an image"))
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "image_error"
    assert "image 2" in answer.json()["error"]["message"]
