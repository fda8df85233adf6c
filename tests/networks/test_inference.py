"""Trained weights from a file, an image with its mirror image, the mean of both views."""

import numpy as np
import pytest
import torch
from torch import nn

from wsgcn.networks.backbone import normalise
from wsgcn.networks.inference import load_trained, scaled_and_flipped, unflip


def test_trained_weights_are_loaded_for_inference(tmp_path, cpu):
    trained, network = (nn.Sequential(nn.Conv2d(2, 3, 1), nn.Dropout()) for _ in range(2))
    torch.save(trained.state_dict(), tmp_path / "model.pt")
    assert load_trained(network, tmp_path / "model.pt", cpu) is network
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), trained.parameters(), strict=True))
    assert not any(module.training for module in network.modules())


@pytest.mark.parametrize("scale, size", [(1, (6, 9)), (0.5, (3, 4)), (0.01, (1, 1))])
def test_the_mirror_image_is_second(scale, size, rng, backbone, cpu):
    image = rng.integers(0, 256, (6, 9, 3), np.uint8)
    batch = scaled_and_flipped(image, scale, True, backbone, cpu)
    assert batch.shape == (2, 3, *size)
    assert torch.equal(batch[1], batch[0].flip(2))
    assert torch.equal(scaled_and_flipped(image, scale, False, backbone, cpu), batch[:1])
    if scale == 1:
        assert torch.equal(batch[0], normalise(torch.tensor(image).permute(2, 0, 1).float(), backbone))


def test_unflip_is_the_mean_of_both_views():
    maps = torch.arange(12.0).reshape(2, 1, 2, 3)
    expected = [[(0 + 8) / 2, (1 + 7) / 2, (2 + 6) / 2], [(3 + 11) / 2, (4 + 10) / 2, (5 + 9) / 2]]
    assert unflip(maps, True).tolist() == [expected]
    assert torch.equal(unflip(maps[:1], False), maps[0])
