"""Encrypts a gallery, changes its key, or finishes either; to be killed. Takes file, old key, new key."""

import sys

from vultus.errors import GalleryError
from vultus.gallery import SqliteGallery
from vultus.gallery.encryption import encrypt, rotate_key

path, old, new = sys.argv[1], bytes.fromhex(sys.argv[2]), bytes.fromhex(sys.argv[3])
print("begin", flush=True)  # noqa: T201
try:
    gallery = SqliteGallery(path, key=old)
except GalleryError:  # the first step of a rotation is done already
    gallery = SqliteGallery(path, key=new)
with gallery:
    if old == new:
        encrypt(gallery, new)
    else:
        rotate_key(gallery, new)
