"""Backbones as IRN's released code has them: without dilation, the first stages frozen."""

import pytest
import timm
import torch
from reference_weights import drawn_weights
from torch import nn

from wsgcn.affinity.affinitynet import build_affinitynet
from wsgcn.affinity.irnet import build_boundary_net
from wsgcn.cam.classifier import build_classifier
from wsgcn.cam.head import frozen_backbone
from wsgcn.cam.mil import ViewSettings, build_location_net
from wsgcn.networks.backbone import BackboneSettings, build_backbone, freeze_stages

NAMES = ["tf_efficientnet_lite0", "resnet10t"]
CPU = torch.device("cpu")


def is_dilated(model: nn.Module) -> bool:
    return any(module.dilation != (1, 1) for module in model.modules() if isinstance(module, nn.Conv2d))


def test_without_dilation_only_the_stride_is_taken_away():
    """By hand: ResNet-18 at stride 32, its last stride set to one in both branches of the block."""
    by_hand = timm.create_model("resnet18", num_classes=0, global_pool="").eval()
    first = by_hand.layer4[0]
    first.conv1.stride = first.downsample[0].stride = (1, 1)
    by_hand.load_state_dict(drawn_weights(by_hand.state_dict(), 0))
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        for dilated in (False, True):
            model = build_backbone("resnet18", "random", 16, dilated=dilated)
            model.load_state_dict(by_hand.state_dict())
            difference = (model.eval().forward_features(images) - by_hand.forward_features(images)).abs().max()
            assert (difference > 0.01) == dilated and not difference.isnan()


@pytest.mark.parametrize("name", NAMES)
def test_no_map_changes_its_size(name):
    images = torch.zeros(1, 3, 64, 96)
    with torch.no_grad():
        plain, dilated = (
            build_backbone(name, "random", 8, own).eval().forward_intermediates(images, intermediates_only=True)
            for own in (False, True)
        )
    assert [m.shape for m in plain] == [m.shape for m in dilated]


@pytest.mark.parametrize("dilated", [True, False])
def test_all_networks_read_it(dilated):
    settings = BackboneSettings("resnet10t", "random", dilated)
    assert is_dilated(build_classifier(settings, 2)) == dilated
    assert is_dilated(build_boundary_net(settings, CPU)) == dilated
    assert is_dilated(build_affinitynet(settings, CPU)) == dilated
    assert is_dilated(frozen_backbone(settings, CPU)) == dilated
    assert is_dilated(build_location_net(settings, 2, ViewSettings(1, 8))) == dilated


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [0, 1, 3, 5])
def test_frozen_are_just_the_weights_that_the_last_frozen_stage_depends_on(name, count):
    model = build_backbone(name, "random", 16).eval()
    parameters = dict(model.named_parameters())
    expected = set()
    if count:
        stage = model.forward_intermediates(torch.randn(1, 3, 32, 32), intermediates_only=True)[count - 1]
        gradients = torch.autograd.grad(stage.sum(), list(parameters.values()), allow_unused=True)
        expected = {key for key, gradient in zip(parameters, gradients, strict=True) if gradient is not None}
    freeze_stages(model, count)
    assert {key for key, parameter in parameters.items() if not parameter.requires_grad} == expected
