"""Controls: extracted with drawn options or ready, brought to the contract, roughened, the right way round."""

from dataclasses import replace

import numpy as np
import pytest
from picture_folders import lines, opened, picture, png, write_folder

from armature.conditions.extract import extract
from armature.conditions.kinds import contract_for
from armature.data.samples.condition import is_dark_on_light, normalize_polarity, white_on_black
from armature.data.samples.dataset import sample_rng
from armature.data.samples.extraction import plan_extraction
from armature.data.sources.source import BadSampleError
from armature.errors import DatasetError, RecipeError
from armature.toyworld import scene


def test_a_missing_map_is_extracted_from_the_frame(tmp_path):
    data = opened(write_folder(tmp_path, maps=False), kind="canny", extract={"low": 50, "high": 120}, flip="always")
    for variant in range(6):
        sample = data.load(1, variant)
        assert np.array_equal(sample.control, np.asarray(extract("canny", sample.pixels, low=50, high=120)))


def test_drawn_options_lie_in_their_range_differ_and_repeat():
    plan = plan_extraction("canny", "canny", {"low": (50, 100), "high": (150.0, 300.0), "blur": 0.5})
    draws = [plan.draw(sample_rng("options", 0, key, variant)) for key in "abcdef" for variant in range(5)]
    assert all(50 <= draw["low"] <= 100 and 150 <= draw["high"] <= 300 and draw["blur"] == 0.5 for draw in draws)
    assert len({(draw["low"], draw["high"]) for draw in draws}) == 30
    assert plan.draw(sample_rng("options", 0, "a", 0)) == draws[0]
    assert plan.draw(sample_rng("options", 1, "a", 0)) != draws[0]


def test_whole_numbers_are_drawn_whole_with_both_ends():
    plan = plan_extraction("color", "color", {"block": (8, 11)})
    drawn = {plan.draw(sample_rng("options", 0, "a", variant))["block"] for variant in range(60)}
    assert drawn == {8, 9, 10, 11}


def test_frames_repeat_for_the_same_variant_and_differ_between_variants():
    def data():
        return opened("toyworld", count=20, resolution=128, kind="sketch", extract={"detail": (0.1, 0.9)})

    first, second = data(), data()
    assert np.array_equal(first.load(3, 2).control, second.load(3, 2).control)
    assert len({first.load(3, variant).control.tobytes() for variant in range(5)}) > 2


@pytest.mark.parametrize(
    ("name", "kind", "options", "words"),
    [
        ("cany", "canny", {}, "Unknown extractor 'cany'.*Did you mean 'canny'"),
        ("canny", "canny", {"lo": 3}, "lo is no option"),
        ("canny", "canny", {"blur": (0, 50)}, "blur=50 must lie in 0..20"),
        ("canny", "canny", {"blur": (5, 1)}, "runs downwards"),
        ("canny", "canny", {"low": 90}, "give both thresholds"),
        ("canny", "canny", {"low": (50, 200), "high": (100, 300)}, "low=200 is above high=100"),
        ("color", "color", {"block": (8.5, 9.5)}, "must be a whole number"),
        ("pidinet", "sketch", {"device": (0, 1)}, "device is no number"),
        ("canny", "depth", {}, "makes canny maps, and the adapter is for depth"),
    ],
)
def test_wrong_extractions_are_refused_before_any_sample(name, kind, options, words):
    with pytest.raises(RecipeError, match=words):
        plan_extraction(name, kind, options)


def test_lines_of_one_sort_may_train_an_adapter_of_another():
    assert plan_extraction("canny", "sketch", {}).extractor.name == "canny"
    assert plan_extraction("embedded:depth", "depth", {}).extractor.name == "embedded:depth"


def test_absent_weights_stop_at_once_instead_of_making_every_sample_bad(tmp_path):
    root = write_folder(tmp_path, maps=False)
    data = opened(root, extractor="pidinet", extract={"weights": str(tmp_path / "none.pth")}, bad_share=1.0)
    with pytest.raises(DatasetError, match=r"data.extractor: The weights .* are not on this machine") as caught:
        data.load(0)
    assert not isinstance(caught.value, BadSampleError)
    assert len(data.bad) == 0


def test_embedded_extractors_work_on_frames():
    data = opened("toyworld", count=4, resolution=128, kind="depth", extractor="embedded:depth")
    assert data.load(0).control.shape == (128, 128, 3)


@pytest.mark.parametrize(
    ("kind", "family", "shape"),
    [("sketch", "sd", (64, 64)), ("canny", "sdxl", (64, 64, 3)), ("depth", "sd", (64, 64, 3))],
)
def test_maps_have_the_channels_of_the_contract(kind, family, shape, tmp_path):
    data = opened(write_folder(tmp_path), kind=kind, family=family, stride=16, conditions="../maps", crop="centre")
    sample = data.load(4)
    assert sample.control.shape == shape
    assert sample.control.dtype == np.uint8
    assert np.array_equal(sample.control.reshape(64, 64, -1)[..., 0], lines(4))


def test_grey_levels_are_cut_where_the_contract_says_so(tmp_path):
    root = write_folder(tmp_path, 1)
    (root / "0000.png").write_bytes(png(picture(0, (64, 64))))
    soft = np.zeros((64, 64), np.uint8)
    soft[20:30], soft[30:40] = 100, 180
    (tmp_path / "maps/0000.png").write_bytes(png(soft))
    control = opened(root, conditions="../maps").load(0).control
    assert set(np.unique(control)) == {0, 255}
    assert control[25, 5] == 0
    assert control[35, 5] == 255
    kept = opened(root, kind="softedge", conditions="../maps").load(0).control
    assert set(np.unique(kept)) == {0, 100, 180}


def test_controls_stay_red_first_for_adapters_that_take_blue_first():
    contract = contract_for("openpose", family="sdxl")
    assert contract.order == "BGR"
    data = opened("toyworld", kind="openpose", count=20, resolution=128, family="sdxl", stride=16, contract=contract)
    first = next(seed for seed in range(100) if scene(seed).joints)
    assert data.key(0) == f"scene {first}"
    assert np.array_equal(data.load(0).control, scene(first).openpose)


def test_a_folder_of_dark_lines_is_turned_round_and_reported(tmp_path):
    root = write_folder(tmp_path)
    plain = opened(root, conditions="../maps")
    wanted = [plain.load(number).control for number in range(6)]
    assert plain.check().notes == ()
    for number in range(6):
        (tmp_path / f"maps/000{number}.png").write_bytes(png(255 - lines(number)))
    data = opened(root, conditions="../maps")
    assert data.dark_on_light
    assert data.fingerprint() != plain.fingerprint()
    assert all(np.array_equal(data.load(number).control, wanted[number]) for number in range(6))
    assert any("dark lines on light ground" in note for note in data.check().notes)


def test_folders_of_both_kinds_of_lines_are_refused(tmp_path):
    root = write_folder(tmp_path)
    for number in range(3):
        (tmp_path / f"maps/000{number}.png").write_bytes(png(255 - lines(number)))
    with pytest.raises(DatasetError, match="3 of 6 line maps looked at are dark lines"):
        opened(root, conditions="../maps")


def test_one_map_the_other_way_round_is_bad(tmp_path):
    root = write_folder(tmp_path, 30)
    (tmp_path / "maps/0001.png").write_bytes(png(255 - lines(1)))
    data = opened(root, conditions="../maps")
    with pytest.raises(BadSampleError, match=r"0001.png.*mostly light"):
        data.load(1)


@pytest.mark.parametrize("dark", [False, True], ids=["light lines", "dark lines"])
def test_maps_with_a_margin_in_the_tone_of_their_lines_are_what_they_are_without(dark):
    """Most of the framed map is margin, so its usual tone is that of the lines."""
    plain = np.zeros((64, 80), np.uint8)
    plain[10:50, 20:22] = plain[30:32, 8:70] = 255
    given = np.pad(255 - plain if dark else plain, 40, constant_values=0 if dark else 255)
    assert is_dark_on_light(given) == dark
    assert np.array_equal(normalize_polarity(given, dark), np.pad(plain, 40))


def test_paper_that_is_not_white_is_cleaned():
    paper = np.full((96, 96, 3), (214, 206, 190), np.uint8)
    paper[30:34, 10:80] = (40, 40, 90)
    found = white_on_black(paper)
    assert found[31, 40] > 200
    assert np.median(found) == 0


def test_maps_of_another_cut_of_the_picture_are_bad(tmp_path):
    root = write_folder(tmp_path, 30)
    (tmp_path / "maps/0000.png").write_bytes(png(lines(0, (64, 96))))
    data = opened(root, conditions="../maps")
    with pytest.raises(BadSampleError, match="map is 64 x 96 px and the picture 96 x 64 px"):
        data.load(0)


@pytest.mark.parametrize(("width", "fits"), [(102, True), (104, False), (90, True), (88, False)])
def test_maps_may_be_stretched_by_what_annotators_round(tmp_path, width, fits):
    """64 x 96 pictures; annotators round a side to a multiple of 64, and 7 % of stretch covers that."""
    root = write_folder(tmp_path, 1)
    (tmp_path / "maps/0000.png").write_bytes(png(lines(0, (width, 64))))
    data = opened(root, conditions="../maps", bad_share=1.0)
    if fits:
        assert data.load(0).control.any()
    else:
        with pytest.raises(BadSampleError, match=f"map is {width} x 64 px and the picture 96 x 64 px"):
            data.load(0)


@pytest.mark.parametrize("kind", ["color", "seg", "openpose", "keypose"])
@pytest.mark.parametrize("side", [24, 128])
def test_maps_of_labels_gain_no_colour_on_their_way(tmp_path, kind, side):
    """A palette map of 64 colours at half and at a quarter of the pictures' size, and larger than they are."""
    root = write_folder(tmp_path, 1)
    (root / "0000.png").write_bytes(png(picture(0, (64, 64))))
    colours = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    drawn = colours.repeat(side // 8, 0).repeat(side // 8, 1)
    (tmp_path / "maps/0000.png").write_bytes(png(drawn))
    control = opened(root, kind=kind, conditions="../maps", flip="never").load(0).control
    assert np.array_equal(control, colours.repeat(8, 0).repeat(8, 1))


def test_foreign_palettes_are_told_in_the_report(tmp_path):
    root = write_folder(tmp_path)
    for number in range(6):
        (tmp_path / f"maps/000{number}.png").write_bytes(png(picture(number)))
    notes = opened(root, kind="seg", conditions="../maps").check().notes
    assert any("not in the coco-stuff palette" in note for note in notes)


def test_the_share_of_hand_drawn_maps_is_that_of_the_settings():
    data = opened("toyworld", count=10, resolution=128, hand_drawn=0.5, held_out=4)
    exact = opened("toyworld", count=10, resolution=128, held_out=4)
    plain = {number: exact.load(number).control for number in (*exact.training, *exact.held_out)}
    same = [
        np.array_equal(data.load(number, variant).control, plain[number])
        for number in data.training
        for variant in range(4)
    ]
    assert 10 <= sum(same) <= 30
    assert all(np.array_equal(data.load(number, 3).control, plain[number]) for number in data.held_out)


def test_only_lines_can_be_roughened():
    with pytest.raises(RecipeError, match="hand_drawn roughens lines, and depth has none"):
        opened("toyworld", kind="depth", count=4, resolution=128, hand_drawn=0.5)


def test_more_than_three_channels_are_refused():
    contract = replace(contract_for("sketch"), channels=4, order="raw")
    with pytest.raises(RecipeError, match="4 channels cannot be trained"):
        opened("toyworld", count=4, resolution=128, contract=contract)


def test_an_extractor_that_cannot_be_had_is_tried_once(tmp_path, monkeypatch):
    tries = []

    def unreachable(self):
        tries.append(self)
        raise DatasetError("data.extractor: no weights")

    monkeypatch.setattr("armature.data.samples.extraction.Extraction.load", unreachable)
    data = opened(write_folder(tmp_path, maps=False), kind="canny")
    for number in range(3):
        with pytest.raises(DatasetError, match=r"^data.extractor: no weights$"):
            data.load(number)
    assert len(tries) == 1
    assert not data.bad


@pytest.mark.parametrize(
    ("size", "good"), [((107, 100), True), ((100, 107), True), ((108, 100), False), ((100, 108), False)]
)
def test_maps_may_be_stretched_by_seven_percent_and_no_more(size, good, tmp_path):
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps/0.png").write_bytes(png(lines(0, size)))
    (tmp_path / "0.png").write_bytes(png(picture(0, (100, 100))))
    (tmp_path / "0.txt").write_text("a thing")
    data = opened(tmp_path, conditions="maps", bad_share=1.0)
    if good:
        assert data.load(0).control.any()
    else:
        with pytest.raises(BadSampleError, match="other proportions"):
            data.load(0)
