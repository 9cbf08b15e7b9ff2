"""Reading the label files of WIDER FACE; which format one has is recognised from its content.

- **Official** (`wider_face_train_bbx_gt.txt`): a line with the image's name, a line with the number of faces,
  then `x y w h blur expression illumination invalid occlusion pose` for each. An image without faces says 0
  and is still followed by one row, of zeros.
- **RetinaFace** (`label.txt`): `# name`, then `x y w h`, five landmarks and some grades for each face. Public
  files differ in the columns after the box; `_RETINAFACE` lists those that are known.

Yang, Luo, Loy, Tang: WIDER FACE: a face detection benchmark. CVPR 2016. https://arxiv.org/abs/1511.06523
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from vultus.errors import InputError
from vultus.training.data.annotations import AnnotatedImage, Annotations, RejectedRow
from vultus.training.data.label_rows import Layout, Row, Section, read_section

_RETINAFACE: Final = (Layout(values_per_point=2, grades=("blur", "ignore", "occlusion", "pose")),)


def read_widerface(labels: Path, *, images: Path | None = None) -> Annotations:
    """What a label file says about its images.

    Args:
        labels: the file.
        images: the folder that the names in it are relative to; by default `images` beside the file.

    Raises:
        InputError: there is no such file, or it is of no known format.
    """
    if not labels.is_file():
        raise InputError(f"there is no label file {labels}")
    rows = [Row(line, text.strip()) for line, text in enumerate(labels.read_text("utf-8").splitlines(), 1)]
    rows = [row for row in rows if row.text]
    sections = list(_retinaface_sections(rows, images or labels.parent / "images"))
    layout = _retinaface_layout(sections, labels)
    found: list[AnnotatedImage] = []
    rejected: list[RejectedRow] = []
    for section in sections:
        image, faults = read_section(section, layout, file=labels)
        found += [image] if image else []
        rejected += faults
    return Annotations(tuple(found), tuple(rejected))


def _retinaface_sections(rows: Sequence[Row], images: Path) -> Iterator[Section]:
    starts = [index for index, row in enumerate(rows) if row.text.startswith("#")]
    for start, end in zip(starts, [*starts[1:], len(rows)], strict=True):
        heading = rows[start]
        yield Section(heading, images / heading.text.removeprefix("#").strip(), rows[start + 1 : end])


def _retinaface_layout(sections: Sequence[Section], labels: Path) -> Layout:
    widths = Counter(len(row.text.split()) for section in sections for row in section.rows)
    for layout in _RETINAFACE:
        if widths and layout.columns == widths.most_common(1)[0][0]:
            return layout
    raise InputError(f"{labels} is of no known format")
