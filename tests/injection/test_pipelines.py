"""Every pipeline and every sampler keeps the promises of docs/pipelines.md."""

import pytest
from pipeline_table import PAGE, try_pair
from small_pipelines import CASES, SAMPLERS


@pytest.mark.parametrize("name", CASES)
def test_every_pipeline(name):
    trial = try_pair(name, "DDIM")
    assert trial.passed, trial


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler(sampler):
    trial = try_pair("SD", sampler)
    assert trial.passed, trial


@pytest.mark.parametrize(
    ("name", "sampler"), [("SDXL img2img", "Heun"), ("SD ControlNet inpaint", "PNDM"), ("AnimateDiff", "KDPM2 a")]
)
def test_pairs_of_odd_kinds(name, sampler):
    trial = try_pair(name, sampler)
    assert trial.passed, trial


def test_the_page_lists_every_pair_and_no_failure():
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("|")][2:]
    assert [row.split("|")[1].strip() for row in rows] == list(CASES)
    assert all(row.count("✓") == len(SAMPLERS) for row in rows)
