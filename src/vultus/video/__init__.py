"""Moving pictures: frames of a video file, as images."""

from vultus.video.reader import Frame, Video

__all__ = ["Frame", "Video"]
