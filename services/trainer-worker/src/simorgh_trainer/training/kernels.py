"""The few operations whose plain form costs a small bf16 model on a CPU more than its products do.

Each says what it replaces and what that took (16 rows of 128 positions, 256 channels, 2 threads). On a GPU torch's own
are taken, but for the loss. All are repeatable.
Shapes: B rows, T positions, C channels, H heads, D head size, N labelled tokens, V vocabulary.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_LONGEST_PLAIN_ROW = 192
"""Positions up to which whole score matrices are faster than flash attention: its backward pass took 14 ms here
where plain products took 3; at 256 positions they are even."""


def attention(q_BHTD: Tensor, k_BHTD: Tensor, v_BHTD: Tensor, mask_B1TT: Tensor) -> Tensor:
    """Scaled dot-product attention under an additive mask."""
    positions, head_size = q_BHTD.shape[2:]
    if q_BHTD.is_cuda or positions > _LONGEST_PLAIN_ROW:
        return functional.scaled_dot_product_attention(q_BHTD, k_BHTD, v_BHTD, attn_mask=mask_B1TT)
    scores_BHTT = torch.matmul(q_BHTD * head_size**-0.5, k_BHTD.transpose(-1, -2)) + mask_B1TT
    return torch.matmul(functional.softmax(scores_BHTT, dim=-1), v_BHTD)


class _Rotate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_BHTD: Tensor, cos_B1TD: Tensor, sin_B1TD: Tensor) -> Tensor:
        ctx.save_for_backward(cos_B1TD, sin_B1TD)
        return _rotated(x_BHTD, cos_B1TD, sin_B1TD, 1.0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        cos_B1TD, sin_B1TD = ctx.saved_tensors
        return _rotated(gradients[0], cos_B1TD, sin_B1TD, -1.0), None, None


def _rotated(x_BHTD: Tensor, cos_B1TD: Tensor, sin_B1TD: Tensor, direction: float) -> Tensor:
    left, right = x_BHTD.chunk(2, dim=-1)
    swapped = torch.cat((right, left), dim=-1)
    if x_BHTD.is_cuda:
        return (x_BHTD * cos_B1TD).addcmul_(swapped, sin_B1TD, value=direction)
    return (x_BHTD * cos_B1TD).add_(swapped.mul_(sin_B1TD), alpha=direction)


def rotate(x_BHTD: Tensor, cos_B1TD: Tensor, sin_B1TD: Tensor) -> Tensor:
    """Rotary positions; the way back is the same turn in the other direction, where autograd makes nine kernels of it.

    sin_B1TD: negative in its first half, so that a turn is `x cos + swapped(x) sin`.
    """
    turned: Tensor = _Rotate.apply(x_BHTD, cos_B1TD, sin_B1TD)
    return turned


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, threshold: int) -> Tensor:
        words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64)
        words.random_(-(2**63), None)
        kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= threshold
        scale = kept.to(x.dtype).mul_(256 / (256 - threshold))
        ctx.save_for_backward(scale)
        return x * scale

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (scale,) = ctx.saved_tensors
        return gradients[0] * scale, None


def dropout(x: Tensor, probability: float) -> Tensor:
    """Drop elements; on a CPU in steps of 1/256, as one draw then decides eight (torch's took 3.3 ms, this 0.9)."""
    if x.is_cuda:
        return functional.dropout(x, probability)
    threshold = round(probability * 256)
    return x if threshold == 0 else _Dropout.apply(x, min(threshold, 255))


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_BTC: Tensor, weight_C: Tensor, epsilon: float) -> Tensor:
        x_NC = x_BTC.reshape(-1, x_BTC.shape[-1])
        norm_N1 = torch.linalg.vector_norm(x_NC, dim=-1, keepdim=True, dtype=torch.float32)
        scale_N1 = torch.rsqrt(norm_N1.square_() / x_NC.shape[-1] + epsilon)
        unit_NC = (x_NC * scale_N1).to(x_NC.dtype)
        ctx.save_for_backward(unit_NC, scale_N1, weight_C)
        return (unit_NC * weight_C).view(x_BTC.shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None, None]:
        unit_NC, scale_N1, weight_C = ctx.saved_tensors
        gradient_NC = gradients[0].reshape(unit_NC.shape)
        product_NC = gradient_NC * unit_NC
        is_learnt = ctx.needs_input_grad[1]  # not where adapters are
        towards_weight_C = product_NC.sum(0, dtype=torch.float32).to(weight_C.dtype) if is_learnt else None
        along_N1 = torch.mv(product_NC, weight_C).unsqueeze(1) / unit_NC.shape[-1]
        inner_NC = torch.addcmul(gradient_NC * weight_C, unit_NC, along_N1, value=-1)
        towards_x_NC = inner_NC.mul_(scale_N1.to(inner_NC.dtype))
        return towards_x_NC.view(gradients[0].shape), towards_weight_C, None


def rms_norm(x_BTC: Tensor, weight_C: Tensor, epsilon: float) -> Tensor:
    """Root-mean-square norm, its statistics in float32."""
    if x_BTC.is_cuda:
        return functional.rms_norm(x_BTC, weight_C.shape, weight_C, epsilon)
    normed_BTC: Tensor = _RMSNorm.apply(x_BTC, weight_C, epsilon)
    return normed_BTC


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits_NV: Tensor, labels_N: Tensor) -> Tensor:
        log_p_NV = torch.log_softmax(logits_NV.float(), dim=-1)  # its own cast takes ten times as long
        ctx.save_for_backward(log_p_NV, labels_N)
        ctx.dtype = logits_NV.dtype
        return -log_p_NV.gather(1, labels_N.unsqueeze(1)).sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        log_p_NV, labels_N = ctx.saved_tensors
        towards_NV = log_p_NV.exp_().mul_(gradients[0])
        rows = torch.arange(len(labels_N), device=labels_N.device)
        towards_NV[rows, labels_N] -= gradients[0]
        return towards_NV.to(ctx.dtype), None


class LeanCrossEntropy(torch.autograd.Function):
    """Keeps the logits as they are, and no float32 of their size: on a GPU bytes are what this costs.

    A label below 0 counts nothing.
    """

    @staticmethod
    def forward(ctx: Any, logits_NV: Tensor, labels_N: Tensor) -> Tensor:
        is_learnt_N = labels_N >= 0
        chosen_N1 = labels_N.clamp(min=0).unsqueeze(1)
        log_p_N = torch.log_softmax(logits_NV, dim=-1, dtype=torch.float32).gather(1, chosen_N1).squeeze(1)
        ctx.save_for_backward(logits_NV, chosen_N1, log_p_N, is_learnt_N)
        return -(log_p_N * is_learnt_N).sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        logits_NV, chosen_N1, log_p_N, is_learnt_N = ctx.saved_tensors
        share_N = gradients[0] * is_learnt_N
        towards_NV = torch.softmax(logits_NV, dim=-1).mul_(share_N.unsqueeze(1).to(logits_NV.dtype))
        at_label_N = torch.expm1(log_p_N) * share_N  # by itself: p - 1 of a p in bf16 would lose most digits
        rows_N = torch.arange(len(chosen_N1), device=logits_NV.device)
        towards_NV[rows_N, chosen_N1.squeeze(1)] = at_label_N.to(logits_NV.dtype)
        return towards_NV, None


def cross_entropy(logits_NV: Tensor, labels_N: Tensor) -> Tensor:
    """Summed nats of the labels, in float32; may be gone back through once. On a GPU a label below 0 counts nothing."""
    loss = LeanCrossEntropy if logits_NV.is_cuda else _CrossEntropy
    nats: Tensor = loss.apply(logits_NV, labels_N)
    return nats
