"""Buckets, windows and flips: picture and map stay on each other, and SDXL is told the truth about them."""

import numpy as np
import pytest
from picture_folders import opened, png, write_folder
from PIL import Image

from armature.bases.families import family_named
from armature.conditions.picture.fit import fit_values, resize
from armature.data.samples.crop import Crop, make_buckets, may_flip, place_crop
from armature.errors import RecipeError

RNG = np.random.default_rng


@pytest.mark.parametrize(
    ("resolution", "step", "family", "stride"),
    [(512, None, "sd", 8), (1024, None, "sdxl", 16), (768, 64, "sd", 8), (128, None, "sd", 8), (640, 16, "sdxl", 16)],
)
def test_buckets_have_the_area_and_fit_the_strides(resolution, step, family, stride):
    sizes = make_buckets(resolution, step, usual_step=family_named(family).bucket_step, stride=stride).sizes
    usual = step or (32 if family == "sdxl" else 64)
    assert (resolution, resolution) in sizes
    for width, height in sizes:
        assert width % usual == height % usual == 0
        assert 0.5 <= width / height <= 2
        assert (height, width) in sizes
        assert abs(width * height / resolution**2 - 1) < usual / resolution + 0.01


def test_pictures_go_to_the_bucket_of_their_proportions():
    buckets = make_buckets(512, 64, usual_step=64, stride=8)
    assert buckets.nearest(3000, 3000) == (512, 512)
    assert buckets.nearest(3000, 2000) == (640, 384) or buckets.nearest(3000, 2000) == (576, 448)
    assert buckets.nearest(100, 1000) == buckets.sizes[0]
    assert buckets.nearest(1000, 100) == buckets.sizes[-1]


def test_steps_and_squares_that_do_not_fit_are_refused():
    with pytest.raises(RecipeError, match=r"bucket_step = 24 is no multiple of 16.*take 32"):
        make_buckets(1024, 24, usual_step=32, stride=16)
    with pytest.raises(RecipeError, match=r"resolution = 500 is no multiple of 8.*take 496 or 504"):
        make_buckets(500, 0, usual_step=64, stride=8)
    with pytest.raises(RecipeError, match="too coarse"):
        make_buckets(64, 512, usual_step=64, stride=8)
    assert make_buckets(504, 0, usual_step=64, stride=8).sizes == ((504, 504),)


@pytest.mark.parametrize("crop", ["centre", "random"])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("size", [(150, 90), (90, 150), (64, 64), (40, 30)])
def test_a_marker_lands_on_the_same_place_in_picture_and_map(crop, mirrored, size):
    width, height = size
    marked = np.zeros((height, width, 3), np.uint8)
    marked[height // 2 - 4 : height // 2 + 4, width // 2 + 2 : width // 2 + 10] = 255
    # The map is twice as large as the picture.
    crop_ = place_crop(size, (64, 64), crop, mirrored, RNG(3))
    frame = crop_.apply(marked, "picture")
    double = crop_.apply(marked.repeat(2, 0).repeat(2, 1), "label")
    assert frame.shape == double.shape == (64, 64, 3)
    places = [np.argwhere(cut[..., 0] > 127).mean(axis=0) for cut in (frame, double)]
    assert np.abs(places[0] - places[1]).max() < 1.5


def test_windows_lie_inside_and_vary():
    corners = {place_crop((400, 100), (64, 64), "random", False, RNG(seed)).left for seed in range(50)}
    assert len(corners) > 20
    assert min(corners) >= 0
    assert max(corners) <= 256 - 64


def test_label_maps_keep_exactly_their_colours():
    colours = np.random.default_rng(0).integers(0, 256, (6, 3), np.uint8)
    rows = np.repeat(np.repeat(colours[np.arange(30) % 6].reshape(5, 6, 3), 25, 0), 25, 1)
    for bucket in ((64, 64), (320, 320)):
        for mirrored in (False, True):
            cut = place_crop((150, 125), bucket, "centre", mirrored, RNG(0)).apply(rows, "label")
            assert {tuple(c) for c in cut.reshape(-1, 3)} == {tuple(c) for c in colours}


def test_lines_stay_two_tones_and_survive_shrinking():
    fine = np.zeros((512, 512), np.uint8)
    fine[100, :] = fine[:, 333] = 255
    cut = place_crop((512, 512), (64, 64), "centre", False, RNG(0)).apply(fine, "line")
    assert set(np.unique(cut)) == {0, 255}
    assert (cut.max(axis=1) == 255).all()
    assert (cut.max(axis=0) == 255).all()


def test_sdxl_is_told_the_corner_of_the_picture_as_it_is_shown():
    wide = Crop((100, 400), (64, 256), (64, 64), top=0, left=40, mirrored=False)
    assert wide.corner == (0, 40)
    shown = np.tile(np.arange(256, dtype=np.uint8), (64, 1))
    assert wide.apply(shown, "label")[0].tolist() == list(range(40, 104))
    mirror = Crop((100, 400), (64, 256), (64, 64), top=0, left=40, mirrored=True)
    assert mirror.corner == (0, 256 - 64 - 40)
    assert np.array_equal(mirror.apply(shown, "label"), shown[:, ::-1][:, mirror.corner[1] : mirror.corner[1] + 64])
    assert np.array_equal(mirror.apply(shown, "label"), mirror.apply_to_mirrored(shown[:, ::-1], "label"))


def test_sdxl_conditioning_of_a_portrait(tmp_path):
    root = write_folder(tmp_path, 1)
    (root / "0000.png").write_bytes(png(np.zeros((300, 200, 3), np.uint8)))
    (tmp_path / "maps/0000.png").write_bytes(png(np.zeros((300, 200), np.uint8)))
    data = opened(root, conditions="../maps", family="sdxl", stride=16, resolution=128, crop="centre")
    width, height = data.bucket(0)
    sample = data.load(0)
    assert (width, height) == (96, 160)
    assert sample.original == (300, 200)
    assert sample.target == sample.pixels.shape[:2] == (160, 96)
    assert sample.corner == (0, (round(200 * 160 / 300) - 96) // 2)


def test_a_turned_portrait_gets_the_portrait_bucket(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((96, 192, 3), np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    (tmp_path / "a.txt").write_text("a tower")
    data = opened(tmp_path, kind="color")
    width, height = data.bucket(0)
    assert width < height
    assert data.load(0).pixels.shape == (height, width, 3)
    assert data.load(0).original == (192, 96)


def test_small_samples_are_counted_and_named(tmp_path):
    report = opened(write_folder(tmp_path), conditions="../maps", resolution=96).check()
    assert report.small == 5
    assert report.smallest == ("0004.png", (64, 64))
    assert any("5 samples are smaller than their bucket" in line for line in report.lines())
    assert opened(tmp_path / "pictures", conditions="../maps", bucket_step=0).check().small == 0


@pytest.mark.parametrize(
    "words",
    ["a dog on the left", "the Right bank", "a shop sign", "a page of text", "hand-written letters",
     'a wall that says "hello"', "a mug with \u2018hi\u2019 on it", "a left-hand glove", "the word love"],
)  # fmt: skip
def test_text_safe_leaves_sides_and_writing_alone(words):
    assert not may_flip(words, "text-safe")
    assert may_flip(words, "always")
    assert not may_flip("a dog", "never")


@pytest.mark.parametrize("words", ["a bright house", "the dog's bowl", "a copyist's desk by day", "designs in blue"])
def test_text_safe_mirrors_the_rest(words):
    assert may_flip(words, "text-safe")


def test_half_of_the_training_samples_are_mirrored(tmp_path):
    root = write_folder(tmp_path, 6)
    data = opened(root, conditions="../maps", flip="always", crop="centre")
    plain = opened(root, conditions="../maps", flip="never", crop="centre")
    mirrored = 0
    for number in data.training:
        still = plain.load(number)
        for variant in range(10):
            sample = data.load(number, variant)
            same = np.array_equal(sample.pixels, still.pixels)
            assert same == np.array_equal(sample.control, still.control)
            if not same:
                mirrored += 1
                assert np.array_equal(sample.pixels, still.pixels[:, ::-1])
                assert np.array_equal(sample.control, still.control[:, ::-1])
    assert 15 <= mirrored <= 45


def test_pictures_shrink_as_everywhere_else_in_the_library():
    tones = np.random.default_rng(0).integers(0, 256, (97, 141, 3), np.uint8)
    wanted = fit_values(tones.astype(np.float32) / 255, (64, 93))
    assert np.abs(resize(tones, (64, 93), "picture").astype(float) - wanted * 255).max() <= 1.0
