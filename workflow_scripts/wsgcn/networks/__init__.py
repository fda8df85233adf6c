"""What the networks share: backbones, the training loop, the device, test-time augmentation."""
