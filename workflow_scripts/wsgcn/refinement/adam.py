"""Adam without `torch.optim`, whose import takes longer than the training of an image."""

import torch


class Adam:
    """Adam (Kingma & Ba, ICLR 2015) with weight decay added to the gradient, on one tensor in place."""

    def __init__(self, values: torch.Tensor, lr: float, weight_decay: float):
        self.values, self.lr, self.weight_decay, self.steps = values, lr, weight_decay, 0
        self.mean, self.square = torch.zeros_like(values), torch.zeros_like(values)

    def step(self, gradient: torch.Tensor) -> None:
        """Update the values by a gradient of their shape."""
        self.steps += 1
        gradient = gradient.to(self.values.dtype).add(self.values, alpha=self.weight_decay)
        self.mean.lerp_(gradient, 0.1)
        self.square.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        root = (self.square / (1 - 0.999**self.steps)).sqrt_().add_(1e-8)
        self.values.addcdiv_(self.mean, root, value=-self.lr / (1 - 0.9**self.steps))
