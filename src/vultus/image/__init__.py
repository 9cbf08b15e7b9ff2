"""Any picture in, upright RGB out; and back into a file."""

from vultus.defaults import DEFAULT_MAX_PIXELS
from vultus.image.decode import Reduced
from vultus.image.load import decode_png, image_size_hw, load_image, load_reduced
from vultus.image.save import encode_png, replace_file, save_image
from vultus.image.source import ImageSource

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "ImageSource",
    "Reduced",
    "decode_png",
    "encode_png",
    "image_size_hw",
    "load_image",
    "load_reduced",
    "replace_file",
    "save_image",
]
