import json

import numpy as np
import pytest
import torch
import transformers
from drawings import photo
from PIL import Image
from torch.nn import functional as F

from armature.conditions.extract import extract
from armature.conditions.extractors.depth import brightness
from armature.conditions.networks import loading
from armature.conditions.networks.hed import HED
from armature.conditions.networks.people import decode_heatmaps
from armature.conditions.networks.pidinet import DifferenceConv, PiDiNet
from armature.conditions.palettes import class_map, paint, palette_colours, palette_names
from armature.conditions.pose.pose import pose_from_coco
from armature.conditions.style import style_states
from armature.errors import ConditionError


@pytest.fixture(autouse=True)
def _offline(monkeypatch, tmp_path):
    # An empty cache and no network, as on a machine that never fetched anything.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))


def saved(folder, model, **processor):
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return str(folder)


@pytest.fixture(scope="module")
def depth_model(tmp_path_factory):
    torch.manual_seed(0)
    backbone = transformers.Dinov2Config(
        hidden_size=16, num_hidden_layers=4, num_attention_heads=2, image_size=56, patch_size=14,
        out_features=["stage1", "stage2", "stage3", "stage4"], reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=16, neck_hidden_sizes=[4, 8, 12, 16],
        fusion_hidden_size=8, head_hidden_size=8, patch_size=14,
    )  # fmt: skip
    return saved(
        tmp_path_factory.mktemp("depth"),
        transformers.DepthAnythingForDepthEstimation(config),
        image_processor_type="DPTImageProcessor",
        size={"height": 56, "width": 56},
        keep_aspect_ratio=True,
        ensure_multiple_of=14,
    )


@pytest.fixture(scope="module")
def seg_model(tmp_path_factory):
    torch.manual_seed(0)
    config = transformers.SegformerConfig(
        depths=[1, 1, 1, 1], hidden_sizes=[8, 8, 8, 8], decoder_hidden_size=8, num_attention_heads=[1, 1, 1, 1],
        id2label=dict(enumerate(palette_names("ade20k"))),
    )  # fmt: skip
    return saved(
        tmp_path_factory.mktemp("seg"),
        transformers.SegformerForSemanticSegmentation(config),
        image_processor_type="SegformerImageProcessor",
        size={"height": 64, "width": 64},
    )


@pytest.fixture(scope="module")
def people_models(tmp_path_factory):
    torch.manual_seed(1)
    finder = transformers.YolosForObjectDetection(
        transformers.YolosConfig(
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            image_size=[64, 64],
            num_detection_tokens=6,
            id2label={0: "person"},
        )
    )
    backbone = transformers.VitPoseBackboneConfig(
        image_size=[64, 48], patch_size=[16, 16], hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
    )  # fmt: skip
    joints = transformers.VitPoseForPoseEstimation(transformers.VitPoseConfig(backbone_config=backbone, num_labels=17))
    with torch.no_grad():
        joints.head.conv.bias.fill_(0.6)  # random weights would leave every joint unseen
    return {
        "detector": saved(
            tmp_path_factory.mktemp("finder"),
            finder,
            image_processor_type="YolosImageProcessor",
            size={"shortest_edge": 64, "longest_edge": 96},
        ),
        "model": saved(tmp_path_factory.mktemp("joints"), joints),
    }


def test_depth_runs_on_a_small_model_of_the_real_class(depth_model):
    result = extract("depth", photo(80).crop((0, 0, 80, 60)), model=depth_model, device="cpu")
    assert result.size == (80, 60)
    assert result.mode == "L"
    assert result.getextrema() == (0, 255)


def test_depth_equals_the_model_called_by_hand(depth_model):
    picture = photo(70)
    processor = transformers.AutoImageProcessor.from_pretrained(depth_model)
    model = transformers.AutoModelForDepthEstimation.from_pretrained(depth_model).eval()
    with torch.no_grad():
        found = model(**processor(images=picture, return_tensors="pt")).predicted_depth
    found = F.interpolate(found[:, None], (70, 70), mode="bilinear")[0, 0]
    expected = ((found - found.min()) / (found.max() - found.min()) * 255).round().numpy()
    ours = np.asarray(extract("depth", picture, model=depth_model, device="cpu")).astype(float)
    assert np.abs(ours - expected).max() <= 1


def test_metric_depth_is_turned_round():
    class Config:
        model_type = "depth_anything"
        depth_estimation_type = "metric"

    metres = np.array([[1.0, 2.0, 10.0]], np.float32)
    near = brightness(metres, Config)
    assert near.tolist()[0] == sorted(near.tolist()[0], reverse=True)
    assert (near[0, 0], near[0, 2]) == (1, 0)
    Config.model_type = "zoedepth"
    assert brightness(metres, Config)[0, 0] == 1
    Config.model_type, Config.depth_estimation_type = "dpt", "relative"
    assert brightness(metres, Config)[0, 2] == 1
    assert (brightness(np.full((2, 2), 3.0, np.float32), Config) == 0.5).all()


def test_seg_paints_in_the_palette_asked_for(seg_model):
    for palette in ("ade20k", "coco-stuff"):
        result = np.asarray(extract("seg", photo(72), model=seg_model, palette=palette, device="cpu"))
        known = {tuple(colour) for colour in palette_colours(palette).tolist()}
        assert {tuple(colour) for colour in np.unique(result.reshape(-1, 3), axis=0).tolist()} <= known
        assert result.shape == (72, 72, 3)


def test_a_segmenter_of_foreign_classes_is_refused(tmp_path):
    config = transformers.SegformerConfig(
        depths=[1, 1, 1, 1], hidden_sizes=[8, 8, 8, 8], decoder_hidden_size=8, num_attention_heads=[1, 1, 1, 1],
        id2label={0: "liver", 1: "kidney", 2: "sky"},
    )  # fmt: skip
    model = saved(
        tmp_path,
        transformers.SegformerForSemanticSegmentation(config),
        image_processor_type="SegformerImageProcessor",
        size={"height": 64, "width": 64},
    )
    with pytest.raises(ConditionError, match=r"2 of the 3 classes of .* \(such as 'liver', 'kidney'\) have no eq"):
        extract("seg", photo(64), model=model)


def test_palettes_are_the_published_ones():
    ade, coco = palette_colours("ade20k"), palette_colours("coco-stuff")
    assert ade is not None
    assert coco is not None
    assert (len(ade), len(coco)) == (150, 171)
    assert (ade[2].tolist(), ade[149].tolist()) == ([6, 230, 230], [92, 0, 255])
    assert (coco[0].tolist(), coco[170].tolist()) == ([0, 192, 64], [64, 64, 0])
    assert (len(palette_names("ade20k")), len(palette_names("coco-stuff"))) == (150, 171)


def test_every_ade20k_class_has_a_coco_stuff_class():
    targets, lost = class_map(dict(enumerate(palette_names("ade20k"))), "coco-stuff")
    names = palette_names("coco-stuff")
    assert lost == []
    found = dict(zip(palette_names("ade20k"), (names[i] for i in targets), strict=True))
    assert (found["sky"], found["person"], found["windowpane"]) == ("sky-other", "person", "window-other")
    assert class_map({0: "sofa, couch", 1: "unicorn"}, "coco-stuff") == ([names.index("couch"), -1], ["unicorn"])
    assert np.asarray(paint(np.array([[-1, 0]]), "coco-stuff")).tolist() == [[[0, 0, 0], [0, 192, 64]]]


def test_pose_runs_on_small_models_of_the_real_classes(people_models):
    options = {**people_models, "least_person": 0.0, "least_score": 0.0, "device": "cpu"}
    for kind in ("openpose", "keypose"):
        result = extract(kind, photo(96), **options)
        assert result.size == (96, 96)
        assert np.asarray(result).max() > 0


def test_nobody_found_is_an_error_unless_allowed(people_models):
    options = {**people_models, "least_person": 1.0, "device": "cpu"}
    with pytest.raises(ConditionError, match="No person was found in the picture; pass allow_empty=True"):
        extract("openpose", photo(96), **options)
    assert np.asarray(extract("openpose", photo(96), **options, allow_empty=True)).max() == 0


def test_heatmaps_decode_to_their_true_peaks():
    y, x = np.mgrid[:64, :48]
    peaks = [(10.3, 20.7), (40.0, 5.5), (24.5, 60.2)]
    heat = np.stack([np.exp(-((x - px) ** 2 + (y - py) ** 2) / 8) for px, py in peaks]).astype(np.float32)
    joints = decode_heatmaps(heat, np.array([100.0, 50.0]), np.array([47.0, 63.0]) * 2)
    expected = np.array(peaks) * 2 + (100, 50)
    # A fifth of a heatmap pixel: what the smoothing before the logarithm leaves.
    assert np.abs(joints[:, :2] - expected).max() < 0.4
    assert joints[:, 2].min() > 0.9


def test_coco_rows_of_the_detector_make_poses():
    assert pose_from_coco(np.ones((17, 3)).tolist()).seen == 18


def difference_by_hand(kind, weight, x):
    """Each pixel difference taken literally, one tap at a time."""
    padded = F.pad(x, (2, 2, 2, 2))
    height, width = x.shape[-2:]

    def at(dy, dx):
        return padded[..., 2 + dy : 2 + dy + height, 2 + dx : 2 + dx + width]

    clockwise = [(-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1)]
    total = torch.zeros(1, weight.shape[0], height, width)
    for index, (dy, dx) in enumerate(clockwise):
        tap = weight[:, :, 1 + dy, 1 + dx]
        if kind == "cd":
            value = at(dy, dx) - at(0, 0)
        elif kind == "rd":
            value = at(2 * dy, 2 * dx) - at(dy, dx)
            # The published weights count the eight neighbours from tap 1 on and leave tap 0 unused.
            tap = weight.flatten(2)[:, :, 1 + sorted(clockwise).index((dy, dx))]
        else:
            value = at(dy, dx) - at(*clockwise[(index + 1) % 8])
        total += torch.einsum("oc,nchw->nohw", tap, value)
    return total


@pytest.mark.parametrize("kind", ["cd", "ad", "rd"])
def test_difference_convolutions_are_differences(kind):
    torch.manual_seed(0)
    layer = DifferenceConv(kind, 2, 3)
    x = torch.randn(1, 2, 9, 9)
    torch.testing.assert_close(layer(x), difference_by_hand(kind, layer.weight, x), atol=1e-5, rtol=1e-5)


def test_pidinet_has_the_published_size_and_key_names():
    network = PiDiNet()
    keys = network.state_dict()
    assert sum(value.numel() for value in keys.values()) == pytest.approx(710_000, rel=0.01)
    assert keys["init_block.weight"].shape == (60, 3, 3, 3)
    for name, shape in {
        "block1_3.conv2.weight": (60, 60, 1, 1),
        "block2_1.shortcut.bias": (120,),
        "block4_4.conv1.weight": (240, 1, 3, 3),
        "dilations.0.conv2_4.weight": (24, 24, 3, 3),
        "attentions.3.conv2.weight": (1, 4, 3, 3),
        "conv_reduces.2.conv.bias": (1,),
        "classifier.weight": (1, 4, 1, 1),
    }.items():
        assert keys[name].shape == shape
    assert "block1_4.conv1.weight" not in keys


def test_pidinet_and_hed_load_published_containers(tmp_path):
    torch.manual_seed(0)
    network = PiDiNet()
    state = {f"module.{key}": value for key, value in network.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "table5_pidinet.pth")
    picture = photo(40)
    soft = extract("pidinet", picture, weights=str(tmp_path / "table5_pidinet.pth"), threshold=None, device="cpu")
    x = torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        expected = network.eval()(x)[0, 0].numpy() * 255
    assert np.abs(np.asarray(soft) - expected).max() <= 0.51
    binary = extract("pidinet", picture, weights=str(tmp_path / "table5_pidinet.pth"), device="cpu")
    np.testing.assert_array_equal(np.asarray(binary) > 0, expected > 127.5)


def test_hed_has_the_published_size_and_runs(tmp_path, monkeypatch):
    keys = HED().state_dict()
    assert sum(value.numel() for value in keys.values()) == pytest.approx(14.7e6, rel=0.01)
    assert {"norm", "block1.convs.0.weight", "block5.convs.2.bias", "block3.projection.weight"} <= set(keys)
    small = ((4, 2), (4, 2), (4, 3), (4, 3), (4, 3))
    monkeypatch.setattr(HED.__init__, "__defaults__", (small,))
    torch.save(HED().half().state_dict(), tmp_path / "hed.pth")
    result = extract("hed", photo(50), weights=str(tmp_path / "hed.pth"), device="cpu")
    assert result.size == (50, 50)
    assert result.mode == "L"


def test_absent_weights_name_file_size_place_and_the_way_without():
    with pytest.raises(ConditionError) as error:
        extract("pidinet", photo(40))
    text = str(error.value)
    assert text.startswith("The weights 'table5_pidinet.pth' (2.9 MB, research use")
    assert "https://huggingface.co/lllyasviel/Annotators" in text
    assert "pass weights=PATH" in text
    assert text.endswith("Without weights, extractor 'sketch' works.")
    with pytest.raises(ConditionError, match=r"Depth-Anything-V2-Small-hf' \(99 MB, .*'embedded:depth' works"):
        extract("depth", photo(40), device="cpu")
    with pytest.raises(ConditionError, match=r"rtdetr_r50vd_coco_o365' .* pass detector=PATH"):
        extract("openpose", photo(40), device="cpu")
    with pytest.raises(ConditionError, match=r"No folder of weights at './nowhere'; pass model=FOLDER or a hub id"):
        extract("depth", photo(40), model="./nowhere")


def test_wrong_weight_files_are_refused(tmp_path):
    torch.save({"a.weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(ConditionError, match=r"is not a PiDiNet: \d+ keys are missing .* 1 are foreign \(such as \['a"):
        extract("pidinet", photo(40), weights=str(tmp_path / "other.pth"))
    (tmp_path / "cut.pth").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(ConditionError, match="cannot be read as weights"):
        extract("pidinet", photo(40), weights=str(tmp_path / "cut.pth"))
    torch.save({"a": print}, tmp_path / "code.pth")
    with pytest.raises(ConditionError, match="cannot be read as weights"):
        extract("hed", photo(40), weights=str(tmp_path / "code.pth"))
    with pytest.raises(ConditionError, match="not on this machine \\(no file at"):
        extract("hed", photo(40), weights=str(tmp_path / "gone.pth"))


def test_a_folder_of_another_model_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ConditionError, match="holds no usable depth model"):
        extract("depth", photo(40), model=str(tmp_path))


def test_device_and_precision(depth_model):
    with pytest.raises(ConditionError, match="Device 'gpu' cannot be used"):
        extract("depth", photo(40), model=depth_model, device="gpu")
    with pytest.raises(ConditionError, match="precision='int4' is not one of float32, bfloat16, float16"):
        extract("depth", photo(40), model=depth_model, precision="int4")
    exact = np.asarray(extract("depth", photo(56), model=depth_model, device="cpu")).astype(float)
    half = np.asarray(extract("depth", photo(56), model=depth_model, device="cpu", precision="bfloat16")).astype(float)
    assert 0 < np.abs(exact - half).mean() < 12


def test_models_stay_loaded(depth_model):
    loading._load_model.cache_clear()
    for _ in range(2):
        extract("depth", photo(40), model=depth_model, device="cpu")
    assert loading._load_model.cache_info().misses == 1


def test_style_states_are_the_vision_towers(tmp_path):
    config = transformers.CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
    )
    model = saved(
        tmp_path,
        transformers.CLIPVisionModel(config),
        image_processor_type="CLIPImageProcessor",
        size={"shortest_edge": 28},
        crop_size={"height": 28, "width": 28},
    )
    assert tuple(style_states(Image.new("L", (40, 50), 90), model=model, device="cpu").shape) == (1, 5, 16)
