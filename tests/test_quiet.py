"""A program that uses Armature sees nothing of other libraries, and gets their settings back."""

import ast
import os
import subprocess
import sys

import pytest

from armature.embedded.paths import DRAWINGS

USE = f"""
import armature
pipe = armature.embedded_pipeline()
sketch = armature.load_adapter("embedded:sketch")
drawing = {str(DRAWINGS / "house.png")!r}
made = armature.generate("a red house", [("sketch", drawing)], seed=1, num_inference_steps=2)
with armature.attach(pipe, armature.Control(sketch, drawing)):
    pass
armature.extract("embedded:depth", made.images[0])
"""

# Level and loading bars of diffusers, of transformers, and whether the hub's bars are off. In one process of its own:
# importing the libraries takes longer than all that is tried here, and the command line's tests silence this process.
STATES = """
import os, threading
from diffusers.utils import logging as diffusers
from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
from transformers.utils import logging as transformers
from armature.quiet import quiet_loading

def state():
    levels = [value for library in (diffusers, transformers)
              for value in (library.get_verbosity(), library.is_progress_bar_enabled())]
    return (*levels, are_progress_bars_disabled())

def inside():
    with quiet_loading():
        return state()

def nested():
    with quiet_loading():
        with quiet_loading():
            pass
        return state()

def two_threads():
    entered, leave = threading.Event(), threading.Event()
    @quiet_loading()
    def other():
        entered.set()
        leave.wait()
    thread = threading.Thread(target=other)
    with quiet_loading():
        thread.start()
        entered.wait()
    one_left = state()
    leave.set()
    thread.join()
    return one_left

results = {}
for name, act in (("plain", inside), ("nested", nested), ("threads", two_threads)):
    results[name] = state(), act(), state()
os.environ["ARMATURE_VERBOSE"] = "1"
results["asked"] = state(), inside(), state()
os.environ["ARMATURE_VERBOSE"] = "0"
diffusers.set_verbosity_info()
transformers.set_verbosity(50)
disable_progress_bars()
results["own"] = state(), inside(), state()
print(results)
"""

USUAL, HUSHED = (30, True, 30, True, False), (40, False, 40, False, False)


def run(code):
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if "VERBOS" not in name},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def states():
    return ast.literal_eval(run(STATES))


def test_a_program_that_uses_the_library_prints_nothing():
    assert run(USE) == ""


@pytest.mark.parametrize("case", ["plain", "nested", "threads"])
def test_settings_hold_again_afterwards_and_downloads_keep_their_bars(states, case):
    assert states[case] == (USUAL, HUSHED, USUAL)


def test_who_asks_for_the_libraries_notices_gets_them(states):
    assert states["asked"] == (USUAL, USUAL, USUAL)


def test_what_the_program_had_set_is_not_overruled(states):
    own = (20, True, 50, True, True)
    assert states["own"] == (own, (20, True, 50, False, True), own)


def test_warnings_are_back_when_the_last_thread_leaves():
    import threading
    import warnings

    from armature.quiet import without_warnings

    inside, leave = threading.Event(), threading.Event()

    def work():
        with without_warnings():
            inside.set()
            assert leave.wait(20)

    before = list(warnings.filters)
    with without_warnings():
        thread = threading.Thread(target=work)
        thread.start()
        assert inside.wait(20)
        warnings.warn("not shown", stacklevel=1)
    warnings.warn("not shown: the other thread is still inside", stacklevel=1)
    leave.set()
    thread.join(20)
    assert warnings.filters == before
    with pytest.warns(UserWarning, match="shown again"):
        warnings.warn("shown again", stacklevel=1)
