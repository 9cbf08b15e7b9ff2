"""A PNG's metadata without its pixels.

In a PNG the orientation may stand behind the pixels, and Pillow gets there by decoding them: gigabytes, for a
bomb. Here the chunks that hold pixels are stepped over.
"""

import io
import struct
from typing import BinaryIO, Final

_SIGNATURE_BYTES: Final = 8
_CHECKSUM_BYTES: Final = 4
_PIXELS: Final = {b"IDAT", b"fdAT", b"acTL", b"fcTL"}  # of the picture, and of an animation's frames
_END: Final = b"\0\0\0\0IEND\xaeB`\x82"
_MAX_METADATA_BYTES: Final = 16 * 2**20  # what is beyond is no metadata that anybody needs


def without_pixels(stream: BinaryIO) -> BinaryIO:
    """The same PNG as far as it goes, but for its pixels.

    Args:
        stream: seekable; read from its first byte on.
    """
    stream.seek(0)
    kept = io.BytesIO()
    kept.write(stream.read(_SIGNATURE_BYTES))
    while len(head := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        rest = length + _CHECKSUM_BYTES
        if kind in _PIXELS:
            stream.seek(rest, io.SEEK_CUR)
            continue
        if kind == b"IEND" or kept.tell() + rest > _MAX_METADATA_BYTES:
            break
        chunk = stream.read(rest)
        if len(chunk) < rest:
            break
        kept.write(head + chunk)
    kept.write(_END)
    kept.seek(0)
    return kept
