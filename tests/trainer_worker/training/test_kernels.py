"""The operations of our own against torch's plain ones."""

import pytest
import torch
from torch.nn import functional

from simorgh_trainer.training.kernels import LeanCrossEntropy, cross_entropy, dropout, rms_norm, rotate


class TestRmsNorm:
    def test_value_and_gradients(self) -> None:
        torch.manual_seed(0)
        x, weight = torch.randn(3, 5, 16, requires_grad=True), torch.randn(16, requires_grad=True)
        expected = functional.rms_norm(x, (16,), weight, 1e-5)
        ours = rms_norm(x, weight, 1e-5)
        torch.testing.assert_close(ours, expected)
        towards = torch.randn_like(x)
        for got, want in zip(
            torch.autograd.grad(ours, (x, weight), towards),
            torch.autograd.grad(expected, (x, weight), towards),
            strict=True,
        ):
            torch.testing.assert_close(got, want)


class TestRotate:
    def test_value_and_gradient(self) -> None:
        torch.manual_seed(0)
        x = torch.randn(2, 3, 5, 8, requires_grad=True)
        angles = torch.randn(2, 1, 5, 4)
        cos = torch.cat((angles.cos(), angles.cos()), -1)
        sin = torch.cat((-angles.sin(), angles.sin()), -1)
        left, right = x.chunk(2, dim=-1)
        expected = x * cos + torch.cat((right, left), dim=-1) * sin
        ours = rotate(x, cos, sin)
        torch.testing.assert_close(ours, expected)
        towards = torch.randn_like(x)
        (got,) = torch.autograd.grad(ours, x, towards)
        (want,) = torch.autograd.grad(expected, x, towards)
        torch.testing.assert_close(got, want)


class TestCrossEntropy:
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_value_and_gradient(self, dtype: torch.dtype) -> None:
        torch.manual_seed(0)
        logits = (torch.randn(7, 11) * 4).to(dtype).requires_grad_()
        labels = torch.randint(0, 11, (7,))
        expected = functional.cross_entropy(logits.float(), labels, reduction="sum")
        ours = cross_entropy(logits, labels)
        torch.testing.assert_close(ours, expected)
        (want,) = torch.autograd.grad(expected / 7, logits)
        (got,) = torch.autograd.grad(ours / 7, logits)
        torch.testing.assert_close(got, want)


class TestLeanCrossEntropy:
    """That of GPUs, which runs here too."""

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_value_and_gradient(self, dtype: torch.dtype) -> None:
        torch.manual_seed(0)
        logits = (torch.randn(9, 11) * 4).to(dtype).requires_grad_()
        labels = torch.randint(0, 11, (9,))
        labels[[2, 5]] = -100
        expected = functional.cross_entropy(logits.float(), labels, reduction="sum")
        ours = LeanCrossEntropy.apply(logits, labels)
        torch.testing.assert_close(ours, expected)
        (want,) = torch.autograd.grad(expected / 7, logits)
        (got,) = torch.autograd.grad(ours / 7, logits)
        torch.testing.assert_close(got, want)

    def test_what_is_nearly_certain_is_learnt_exactly(self) -> None:
        """p - 1 of a p that bf16 rounds to 1 would be nothing to learn."""
        logits = torch.tensor([[12.0, 4.0, 0.0]], dtype=torch.bfloat16, requires_grad=True)
        (got,) = torch.autograd.grad(LeanCrossEntropy.apply(logits, torch.tensor([0])), logits)
        assert float(got[0, 0]) == pytest.approx(-3.4e-4, rel=0.02)


class TestDropout:
    def test_drops_the_share_and_keeps_the_mean(self) -> None:
        torch.manual_seed(0)
        x = torch.ones(300, 333, requires_grad=True)
        y = dropout(x, 0.1)
        share = float((y == 0).float().mean())
        assert abs(share - 26 / 256) < 0.003
        assert abs(float(y.detach().mean()) - 1) < 0.004
        (gradient,) = torch.autograd.grad(y.sum(), x)
        assert torch.equal(gradient, y.detach())

    def test_seed_decides(self) -> None:
        x = torch.ones(100)
        torch.manual_seed(1)
        first, second = dropout(x, 0.5), dropout(x, 0.5)
        torch.manual_seed(1)
        assert torch.equal(dropout(x, 0.5), first)
        assert not torch.equal(first, second)
