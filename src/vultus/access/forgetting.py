"""Taking somebody who was erased out of the service's own file."""

from vultus.access.log import forget_decisions
from vultus.access.store import Store
from vultus.sqlite import empty_log


def forget_person(store: Store, person_id: str) -> None:
    """Every entry stays, and none says any longer whom it was about; answers that name them are dropped.

    What is overwritten leaves neither the file (secure_delete) nor, unless another process reads just now,
    its write-ahead log.

    Raises:
        GalleryError: the file is damaged or closed, the disk is full, or locked for too long.
    """
    with store.writing() as connection:
        forget_decisions(connection, person_id)
        connection.execute("UPDATE audit SET target = '' WHERE instr(target, ?)", (person_id,))
        connection.execute("DELETE FROM replays WHERE instr(body, ?)", (person_id.encode(),))
    with store.reading() as connection:
        empty_log(connection)  # where others read just now, the next one empties it
