"""The people in a picture as COCO joints: a detector finds the boxes, ViTPose the joints in each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from armature.conditions.extractor import Option, Weights
from armature.conditions.networks.loading import DEVICE, PRECISION, load_model, pixel_values
from armature.errors import ConditionError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL import Image

DETECTOR_WEIGHTS = Weights(
    "PekingU/rtdetr_r50vd_coco_o365", 172, "https://huggingface.co/PekingU/rtdetr_r50vd_coco_o365", "Apache-2.0"
)
POSE_WEIGHTS = Weights(
    "usyd-community/vitpose-base-simple", 344, "https://huggingface.co/usyd-community/vitpose-base-simple", "Apache-2.0"
)
OPTIONS = (
    Option("model", POSE_WEIGHTS.source, "hub id or folder of a ViTPose model"),
    Option("detector", DETECTOR_WEIGHTS.source, "hub id or folder of an object detector that knows 'person'"),
    Option("least_person", 0.3, "score from which a detection is a person", 0, 1),
    Option("least_score", 0.3, "score from which a joint is seen", 0, 1),
    Option("most_people", 16, "people at most, best first", 1, 200, number=int),
    Option("allow_empty", False, "give a black map when nobody is found"),
    DEVICE,
    PRECISION,
)
# ViTPose was trained on boxes grown by a quarter, ImageNet's mean and spread, and COCO's joints (dataset 0).
_MARGIN = 1.25
_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def find_people(
    picture: Image.Image,
    *,
    model: str = POSE_WEIGHTS.source,
    detector: str = DETECTOR_WEIGHTS.source,
    least_person: float = 0.3,
    least_score: float = 0.3,
    most_people: int = 16,
    allow_empty: bool = False,
    device: str = "auto",
    precision: str = "float32",
) -> list[np.ndarray]:
    """People as arrays (17, 3): x and y in pixels, score 0..1, in COCO's order; the surest person first.

    Raises ConditionError when weights are absent, the detector knows no persons, or nobody is found (unless
    allow_empty).
    """
    import torch

    finder, processor = load_model(
        "detection",
        detector,
        device,
        precision,
        weights=DETECTOR_WEIGHTS,
        offline="embedded:openpose",
        option="detector",
    )
    network, _ = load_model("pose", model, device, precision, weights=POSE_WEIGHTS, offline="embedded:openpose")
    with torch.inference_mode():
        boxes = _boxes(finder, processor, picture, detector, least_person)[:most_people]
        people = [_joints(network, picture, box) for box in boxes]
    people = [rows for rows in people if float(rows[:, 2].max()) >= least_score]
    if not people and not allow_empty:
        raise ConditionError("No person was found in the picture; pass allow_empty=True for an empty pose.")
    return people


def _boxes(finder: Any, processor: Any, picture: Image.Image, name: str, least: float) -> np.ndarray:
    """Boxes of persons, best first: (people, 4) as left, top, right, bottom in pixels."""
    import torch

    persons = [int(index) for index, label in finder.config.id2label.items() if str(label).lower() == "person"]
    if not persons:
        raise ConditionError(f"The detector {name!r} has no class 'person'; choose one trained on COCO.")
    outputs = finder(pixel_values=pixel_values(processor, picture, finder))
    sizes = torch.tensor([[picture.height, picture.width]])
    found = processor.post_process_object_detection(outputs, threshold=least, target_sizes=sizes)[0]
    human = torch.isin(found["labels"].cpu(), torch.tensor(persons))
    order = found["scores"].float().cpu()[human].argsort(descending=True)
    return found["boxes"].float().cpu()[human][order].numpy()


def _joints(network: Any, picture: Image.Image, box: np.ndarray) -> np.ndarray:
    """The joints of the person in a box: (17, 3) x, y, score."""
    import torch

    height, width = _pair(network.config.backbone_config.image_size)
    corner, extent = _region(box, height, width)
    values = _crop(picture, corner, extent, height, width)
    extra: dict[str, torch.Tensor] = {}
    if getattr(network.config.backbone_config, "num_experts", 1) > 1:
        extra["dataset_index"] = torch.zeros(1, dtype=torch.long, device=network.device)
    heat = network(pixel_values=values.to(network.device, network.dtype), **extra).heatmaps[0].float().cpu().numpy()
    return decode_heatmaps(heat, corner, extent)


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def _region(box: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Top left corner (x, y) and extent (w, h) of the box, grown to the network's proportions and by the margin."""
    import numpy as np

    left, top, right, bottom = (float(value) for value in box)
    w, h = max(right - left, 1.0), max(bottom - top, 1.0)
    w, h = max(w, h * width / height), max(h, w * height / width)
    extent = np.array([w, h]) * _MARGIN
    return np.array([(left + right) / 2, (top + bottom) / 2]) - extent / 2, extent


def _crop(picture: Image.Image, corner: np.ndarray, extent: np.ndarray, height: int, width: int) -> torch.Tensor:
    """The region resampled to the network's input: (1, 3, height, width), normalised; black outside the picture.

    Corner pixels map onto corner pixels (unbiased data processing, Huang et al. 2020), as ViTPose was trained.
    """
    import cv2
    import numpy as np
    import torch

    scale = np.array([width - 1, height - 1]) / extent
    matrix = np.array([[scale[0], 0, -corner[0] * scale[0]], [0, scale[1], -corner[1] * scale[1]]])
    tones = np.asarray(picture.convert("RGB"), dtype=np.float32) / np.float32(255)
    part = cv2.warpAffine(tones, matrix, (width, height), flags=cv2.INTER_LINEAR)
    part = (part - np.array(_MEAN, np.float32)) / np.array(_SPREAD, np.float32)
    return torch.from_numpy(np.ascontiguousarray(part.transpose(2, 0, 1)[None], dtype=np.float32))


def decode_heatmaps(heat: np.ndarray, corner: np.ndarray, extent: np.ndarray) -> np.ndarray:
    """Joints from heatmaps: (K, h, w) with a region's corner and extent (x, y) in pixels -> (K, 3) x, y, score.

    The peak's place between pixels is the maximum of a parabola through the logarithm of the smoothed heatmap
    (distribution-aware coordinates, Zhang et al. 2020).
    """
    import cv2
    import numpy as np

    count, height, width = heat.shape
    joints = np.zeros((count, 3), np.float32)
    for index in range(count):
        y, x = divmod(int(heat[index].argmax()), width)
        score = float(heat[index, y, x])
        smooth = cv2.GaussianBlur(heat[index], (3, 3), 0.8, borderType=cv2.BORDER_REPLICATE)
        log = np.log(np.clip(smooth, 1e-3, 50.0))
        log = np.pad(log, 1, mode="edge")[y : y + 3, x : x + 3]
        slope = np.array([log[1, 2] - log[1, 0], log[2, 1] - log[0, 1]]) / 2
        xx, yy = log[1, 2] - 2 * log[1, 1] + log[1, 0], log[2, 1] - 2 * log[1, 1] + log[0, 1]
        xy = (log[2, 2] - log[2, 0] - log[0, 2] + log[0, 0]) / 4
        curve = np.array([[xx, xy], [xy, yy]])
        # Only a true peak has a summit to move to; elsewhere the pixel itself is the best guess.
        if xx < -1e-6 and np.linalg.det(curve) > 1e-9:
            shift = np.clip(-np.linalg.solve(curve, slope), -1.0, 1.0)
        else:
            shift = np.zeros(2)
        place = (np.array([x, y]) + shift) / np.array([width - 1, height - 1])
        joints[index] = (*(corner + place * extent), min(max(score, 0.0), 1.0))
    return joints
