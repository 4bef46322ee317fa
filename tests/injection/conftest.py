"""Settings of the injection tests."""

import pytest
import torch

# Models this small only lose by sharing their work between cores.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_gradients():
    """Inference is the rule here; the training tests switch gradients on."""
    with torch.no_grad():
        yield
