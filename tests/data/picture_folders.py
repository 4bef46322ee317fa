"""The same few samples written in every layout, and settings that read them."""

import io
import json
import tarfile

import numpy as np
from PIL import Image

from armature.bases.families import family_named
from armature.conditions.kinds import contract_for
from armature.data.samples.dataset import open_dataset
from armature.data.settings import DataSettings

SIZES = [(96, 64), (64, 96), (80, 80), (128, 64), (64, 64), (72, 100)]


def picture(number, size=None):
    """(h, w, 3) uint8 that no other number has."""
    width, height = size or SIZES[number % len(SIZES)]
    y, x = np.mgrid[:height, :width]
    tones = np.stack([x * 2 + number * 7, y * 2 + number * 13, (x + y) + number * 29], axis=-1)
    return (tones % 256).astype(np.uint8)


def lines(number, size=None):
    """(h, w) uint8: a white box on black, in the picture's size."""
    width, height = size or SIZES[number % len(SIZES)]
    drawn = np.zeros((height, width), np.uint8)
    drawn[height // 4 : height // 2, width // 4 + number % 5 : width // 2] = 255
    return drawn


def caption(number):
    return f"thing number {number}"


def png(pixels, **options):
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG", **options)
    return data.getvalue()


def write_folder(root, count=6, *, maps=True, nested=False):
    """pictures/0000.png with 0000.txt, and maps/0000.png."""
    for number in range(count):
        inside = f"part{number % 2}/{number:04d}" if nested else f"{number:04d}"
        for folder, data in (("pictures", png(picture(number))), ("maps", png(lines(number)))):
            if folder == "maps" and not maps:
                continue
            path = root / folder / f"{inside}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        (root / "pictures" / f"{inside}.txt").write_text(caption(number))
    return root / "pictures"


def write_imagefolder(root, count=6):
    rows = []
    for number in range(count):
        for folder, data in (("train", png(picture(number))), ("canny", png(lines(number)))):
            (root / folder).mkdir(parents=True, exist_ok=True)
            (root / folder / f"{number}.png").write_bytes(data)
        rows.append({"file_name": f"train/{number}.png", "text": caption(number), "map": f"canny/{number}.png"})
    (root / "metadata.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return root


def write_shards(root, count=6, shard=2):
    root.mkdir(parents=True, exist_ok=True)
    for start in range(0, count, shard):
        with tarfile.open(root / f"data-{start // shard:03d}.tar", "w") as archive:
            for number in range(start, min(start + shard, count)):
                members = {
                    "png": png(picture(number)),
                    "canny.png": png(lines(number)),
                    "txt" if number % 2 else "json": (
                        caption(number).encode() if number % 2 else json.dumps({"text": caption(number)}).encode()
                    ),
                }
                for ending, data in members.items():
                    info = tarfile.TarInfo(f"{number:04d}.{ending}")
                    info.size = len(data)
                    archive.addfile(info, io.BytesIO(data))
    return root


def write_hf(root, count=6):
    import datasets

    features = datasets.Features({"image": datasets.Image(), "text": datasets.Value("string"), "map": datasets.Image()})
    rows = {
        "image": [{"bytes": png(picture(number)), "path": None} for number in range(count)],
        "text": [caption(number) for number in range(count)],
        "map": [{"bytes": png(lines(number)), "path": None} for number in range(count)],
    }
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(str(root))
    return root


def settings(source, **changes):
    return DataSettings(**{"source": str(source), "resolution": 64, "bucket_step": 16, "held_out": 0, **changes})


def opened(source, *, kind="sketch", family="sd", stride=8, seed=0, contract=None, **changes):
    return open_dataset(
        settings(source, **changes),
        kind=kind,
        contract=contract or contract_for(kind, family=family),
        family=family_named(family),
        stride=stride,
        seed=seed,
    )
