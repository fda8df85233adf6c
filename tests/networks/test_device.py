"""The device that networks run on."""

import pytest
import torch

from wsgcn.networks.device import pick_device


@pytest.mark.parametrize("gpu", [True, False])
def test_pick_device(gpu, monkeypatch):
    asked = []
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "as it is")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda mode, warn_only: asked.append((mode, warn_only)))
    assert pick_device("cpu").type == "cpu"
    assert pick_device("auto").type == ("cuda" if gpu else "cpu")
    assert asked == [(True, True)] * gpu
    if gpu:
        assert pick_device("cuda").type == "cuda"
    else:
        with pytest.raises(ValueError, match="torch sees no GPU"):
            pick_device("cuda")
