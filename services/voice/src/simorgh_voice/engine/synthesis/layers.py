"""The decoder's layers as this processor computes them fastest: in bfloat16, each sample's channels side by side.

One-dimensional convolutions of torch put the channels apart again after each layer, and oneDNN together before each:
as two-dimensional ones of height 1 they leave them together. 14 % of the decoder's time (one thread, 4 s of speech).

Shapes: B batch, C channels, S samples.
"""

import torch
from torch import nn
from torch.nn import functional


class ReducedDecoder(nn.Module):
    """A HiFi-GAN decoder that computes in bfloat16. Its last layer, whose output is the sound, stays in float32."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        decoder.to(torch.bfloat16)
        decoder.conv_post = _InFull(decoder.conv_post)  # type: ignore[arg-type]  # a module, by its class
        _widen(decoder)
        self.decoder = decoder

    def forward(self, spectrogram_BCS: torch.Tensor, speaker_BC1: torch.Tensor | None = None) -> torch.Tensor:
        """The sound of a spectrogram."""
        together_BCS = spectrogram_BCS.to(torch.bfloat16).transpose(1, 2).contiguous().transpose(1, 2)
        speaker = None if speaker_BC1 is None else speaker_BC1.to(torch.bfloat16)
        sound_B1S: torch.Tensor = self.decoder(together_BCS, speaker)
        return sound_B1S


class _InFull(nn.Module):
    """A bfloat16 sample has 8 bits: one could hear it."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer.to(torch.float32)

    def forward(self, hidden_BCS: torch.Tensor) -> torch.Tensor:
        sound_B1S: torch.Tensor = self.layer(hidden_BCS.float())
        return sound_B1S


class _Wide(nn.Module):
    """A convolution over samples as one over an image of height 1."""

    def __init__(self, layer: nn.Conv1d | nn.ConvTranspose1d) -> None:
        super().__init__()
        weight = layer.weight.detach().unsqueeze(2).contiguous(memory_format=torch.channels_last)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = layer.bias
        self._is_transposed = isinstance(layer, nn.ConvTranspose1d)
        self._stride, self._padding, self._dilation = layer.stride[0], layer.padding[0], layer.dilation[0]
        self._output_padding = layer.output_padding[0]

    def forward(self, hidden_BCS: torch.Tensor) -> torch.Tensor:
        hidden_BC1S = hidden_BCS.unsqueeze(2)
        stride, dilation = (1, self._stride), (1, self._dilation)
        padding = (0, int(self._padding))
        if self._is_transposed:
            more = (0, self._output_padding)
            out = functional.conv_transpose2d(
                hidden_BC1S, self.weight, self.bias, stride, padding, more, dilation=dilation
            )
        else:
            out = functional.conv2d(hidden_BC1S, self.weight, self.bias, stride, padding, dilation)
        return out.squeeze(2)


def _widen(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, _InFull):
            continue
        if isinstance(child, nn.Conv1d | nn.ConvTranspose1d) and child.groups == 1:
            setattr(module, name, _Wide(child))
        else:
            _widen(child)
