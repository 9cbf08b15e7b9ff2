"""A cluster: the same work on the actors of Ray Data, each of which holds the networks.

The list of photos goes to Ray's object store in blocks; a pool of actors, which grows and shrinks with the
work and the machines, turns blocks into answers; and this process takes them in the order of the photos and
writes them, as it does without Ray. `--ray local` starts a Ray on this machine alone: the same code.

Every machine must see the photos under the address given (object storage, or a folder mounted everywhere) and
have the same Vultus installed.
"""

import logging
import pickle
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple
from typing import Any, Final

from vultus.batch.processes import Portion
from vultus.batch.source import Photo
from vultus.batch.work import PhotoFaces, PhotoWork
from vultus.errors import InputError, MissingExtraError

LOCAL: Final = "local"
PHOTOS_PER_TASK: Final = 64  # of Ray's, each of which costs milliseconds
_CRASHES: Final = 3  # of one task, before the run ends


class PhotoActor:
    """Holds the networks in one process of the cluster."""

    def __init__(self, work: PhotoWork) -> None:
        self._work = work

    def __call__(self, block: Mapping[str, Sequence[bytes]]) -> dict[str, list[bytes]]:
        """Photos in, answers out, pickled."""
        photos = [Photo(*pickle.loads(row)) for row in block["photo"]]  # noqa: S301  written by `_blocks`
        return {"answer": [pickle.dumps(answer) for answer in self._work(photos)]}


def on_ray(
    work: PhotoWork, portions: Iterable[Portion], *, address: str = LOCAL, workers: int | None = None
) -> Iterator[list[PhotoFaces]]:
    """The answers of the photos, in their order.

    Args:
        work: travels to each actor and loads its parts there.
        portions: of photos; all are listed before the first is done.
        address: of the cluster as `ray.init` takes it, such as "auto"; or "local".
        workers: at most so many actors, of one core each; None takes what the cluster has.

    Raises:
        MissingExtraError: Ray is not installed.
        InputError: there is no such cluster, or it gave up.
    """
    ray = _ray()
    started = _connect(ray, address, workers)
    try:
        yield from _answers(ray, work, portions, workers=workers)
    except ray.exceptions.RayError as error:
        raise InputError(
            f"Ray gave up ({type(error).__name__}). What is written stays: start the run again. If a photo "
            "ends the actors that read it, go on without --ray for a while, which finds it"
        ) from error
    finally:
        if started:
            ray.shutdown()


def _ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtraError("a cluster needs: pip install 'vultus[ray]'") from error
    return ray


def _connect(ray: Any, address: str, workers: int | None) -> bool:
    """Join the cluster, unless this process has; whether it did.

    Raises:
        InputError: there is none at the address.
    """
    if ray.is_initialized():
        return False
    here: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False} if address == LOCAL else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", **here)
    except (ConnectionError, OSError, ValueError) as error:
        raise InputError(f"there is no Ray at {address}: {error}") from error
    return True


def _answers(
    ray: Any, work: PhotoWork, portions: Iterable[Portion], *, workers: int | None
) -> Iterator[list[PhotoFaces]]:
    blocks = [ray.put(block) for block in _blocks(portions)]
    if not blocks:
        return
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what fails is raised
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `max_task_retries` is to have another place, from Ray 2.64 on
        answers = ray.data.from_arrow_refs(blocks).map_batches(
            PhotoActor,
            fn_constructor_args=(work,),
            batch_size=None,  # a block at once
            batch_format="numpy",
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=workers),
            num_cpus=1,
            max_task_retries=_CRASHES,  # by default Ray would try for ever
        )
    for block in answers.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1):
        yield [pickle.loads(answer) for answer in block["answer"].to_pylist()]  # noqa: S301


def _blocks(portions: Iterable[Portion]) -> Iterator[Any]:
    """Arrow tables of pickled photos, a portion in each."""
    import pyarrow as pa

    for portion in portions:
        yield pa.table({"photo": [pickle.dumps(astuple(photo)) for photo in portion]})
