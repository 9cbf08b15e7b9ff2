"""Every network of the package by name, for lists and for the test that runs over all of them. Data only."""

from collections.abc import Mapping

from vultus.networks import (
    compact_resnet,
    facenet,
    inception_resnet_v1,
    iresnet,
    mobilefacenet,
    mobilenet_v1,
    mtcnn,
    resnet,
    retinaface,
    sface,
    siamese,
    yolov5_face,
)
from vultus.networks.variant import Variant

NETWORKS: Mapping[str, Variant] = {
    **mtcnn.VARIANTS,
    **retinaface.VARIANTS,
    **yolov5_face.VARIANTS,
    **mobilenet_v1.VARIANTS,
    **resnet.VARIANTS,
    **inception_resnet_v1.VARIANTS,
    **facenet.VARIANTS,
    **siamese.VARIANTS,
    **mobilefacenet.VARIANTS,
    **compact_resnet.VARIANTS,
    **iresnet.VARIANTS,
    **sface.VARIANTS,
}
