"""The optimiser's side of the weights: float32 masters in one flat tensor, AdamW, and the learning rate."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from simorgh_shared.schemas.training import Schedule, TrainSpec

BETAS = (0.9, 0.95)
_COSINE_FLOOR = 0.02  # of the learning rate: the last steps still move the weights a little


class FlatWeights:
    """The learnt parameters of a model as views into one tensor of the compute type, beside float32 masters.

    One cast, one norm and two fused updates a step stand for one each per parameter, which small models feel. Matrices
    come first and decay; the norms' scales come last and do not. Frozen parameters take the compute type in place.
    """

    def __init__(self, model: nn.Module, dtype: torch.dtype) -> None:
        learnt = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
        named = sorted(learnt, key=lambda item: item[1].dim() < 2)
        for parameter in model.parameters():
            if not parameter.requires_grad:
                parameter.data = parameter.data.to(dtype)
        self._sizes = {name: parameter.shape for name, parameter in named}
        self.master = torch.cat([parameter.detach().reshape(-1).float() for _, parameter in named])
        self.num_decayed = sum(parameter.numel() for _, parameter in named if parameter.dim() >= 2)
        self._compute = self.master if dtype == torch.float32 else self.master.to(dtype)
        self._gradient = torch.zeros_like(self._compute)
        self._total = self._gradient if dtype == torch.float32 else torch.zeros_like(self.master)
        self._is_total_fresh = True
        gradients = dict(self.split(self._gradient))
        for (name, view), (_, parameter) in zip(self.split(self._compute), named, strict=True):
            parameter.data = view
            parameter.grad = gradients[name]

    def split(self, flat: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Name and view of each parameter in a flat tensor of the masters' layout."""
        start = 0
        for name, shape in self._sizes.items():
            yield name, flat[start : start + shape.numel()].view(shape)
            start += shape.numel()

    @property
    def gradient(self) -> Tensor:
        """What backward passes add to, flat."""
        return self._gradient

    def take_gradient(self) -> None:
        """Add the gradient of a backward pass to the step's float32 total."""
        if self._total is self._gradient:
            return
        if self._is_total_fresh:
            self._total.copy_(self._gradient)
        else:
            self._total.add_(self._gradient)
        self._is_total_fresh = False
        self._gradient.zero_()

    def clip(self, largest_norm: float | None) -> Tensor:
        """Scale the total down to a norm; its norm before, which a GPU may still be computing."""
        norm: Tensor = torch.linalg.vector_norm(self._total)
        if largest_norm is None:
            return norm
        if norm.is_cuda:
            self._total.mul_((largest_norm / (norm + 1e-6)).clamp(max=1.0))
        elif (value := float(norm)) > largest_norm:
            self._total.mul_(largest_norm / (value + 1e-6))
        return norm

    def parameter_groups(self, weight_decay: float) -> list[dict[str, object]]:
        """The masters as two parameters for the optimiser, their gradients attached."""
        groups = []
        for part, decay in (
            (slice(0, self.num_decayed), weight_decay),
            (slice(self.num_decayed, None), 0.0),
        ):
            parameter = nn.Parameter(self.master[part])
            parameter.grad = self._total[part]
            groups.append({"params": [parameter], "weight_decay": decay})
        return groups

    def publish(self) -> None:
        """Make the masters what the model computes with, and start a fresh gradient."""
        if self._compute is not self.master:
            self._compute.copy_(self.master)
        else:
            self._gradient.zero_()
        self._is_total_fresh = True

    def load(self, values: Tensor) -> None:
        """Replace the masters."""
        self.master.copy_(values)
        self.publish()


def make_optimizer(weights: FlatWeights, spec: TrainSpec) -> torch.optim.AdamW:
    """Fused AdamW over the masters (Source: Loshchilov and Hutter, decoupled weight decay)."""
    groups = weights.parameter_groups(spec.weight_decay)
    return torch.optim.AdamW(groups, lr=spec.learning_rate, betas=BETAS, fused=True)


def learning_rate(spec: TrainSpec, step: int, total_steps: int, elapsed_s: float) -> float:
    """The rate of the step that follows `step` done ones.

    Under a time budget the schedule follows the clock where that is further on than the steps are.
    """
    warmup = spec.num_warmup_steps(total_steps)
    if step < warmup:
        return spec.learning_rate * (step + 1) / (warmup + 1)
    done = (step - warmup) / max(1, total_steps - warmup)
    if spec.max_minutes is not None:
        done = min(1.0, max(done, elapsed_s / (spec.max_minutes * 60)))
    if spec.schedule is Schedule.CONSTANT:
        return spec.learning_rate
    left = 1 - done if spec.schedule is Schedule.LINEAR else (1 + math.cos(math.pi * done)) / 2
    return spec.learning_rate * (_COSINE_FLOOR + (1 - _COSINE_FLOOR) * left)
