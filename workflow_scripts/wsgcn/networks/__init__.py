"""What the networks share: backbones, the training loop and its samples, the device, test-time augmentation."""
