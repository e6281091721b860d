#!/usr/bin/env python3
"""Writes tests/golden/encoder.safetensors: weights at random of networks that PyTorch and the authors of FT-Transformer
define, and what these answer. Networks of agents/src/supervised and agents/src/pictures must answer the same with them.

    pip install torch safetensors rtdl_revisiting_models; python3 tests/golden/encoder.py
"""

from pathlib import Path

import torch
from rtdl_revisiting_models import FTTransformer
from safetensors.torch import save_file
from torch import nn

torch.manual_seed(1)
found = {}
ids = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6], [5, 3, 5, 8, 0, 0, 0, 0], [9, 0, 0, 0, 0, 0, 0, 0]])
found["ids"] = ids


def stir(module: nn.Module) -> nn.Module:
    """Weights of which none is the 0 or the 1 that it begins with."""
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return module.eval()


# Tokens from 1 on, and 0 behind the end of a text.
for name, first in [("before", True), ("after", False)]:
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, "gelu", batch_first=True, norm_first=first)
    encoder = nn.TransformerEncoder(layer, 2, nn.LayerNorm(8) if first else None, enable_nested_tensor=False)
    token, place, norm = nn.Embedding(10, 8), nn.Embedding(12, 8), nn.LayerNorm(8)
    whole = stir(nn.ModuleDict({"body": encoder, "token": token, "place": place, "norm": norm}))
    with torch.no_grad():
        x = token((ids - 1).clamp(min=0)) + place(torch.arange(8))
        h = encoder(x if first else norm(x), src_key_padding_mask=ids == 0)
        present = (ids > 0).unsqueeze(-1).float()
        features = (h * present).sum(1) / present.sum(1) if first else h[:, 0]
    found |= {f"{name}.{key}": weight for key, weight in whole.state_dict().items()}
    found[f"{name}.features"] = features

# FT-Transformer: three numbers, and a category of four labels. Its bias of categories is added to their embeddings.
ft = FTTransformer(n_cont_features=3, cat_cardinalities=[4], d_out=2, n_blocks=2, d_block=8, attention_n_heads=2,
                   attention_dropout=0.0, ffn_d_hidden=11, ffn_d_hidden_multiplier=None, ffn_dropout=0.0,
                   residual_dropout=0.0)
stir(ft)
numbers, labels = torch.randn(5, 3), torch.tensor([[0], [3], [1], [2], [2]])
with torch.no_grad():
    found["ft.answers"] = ft(numbers, labels)
found["ft.x"] = torch.cat([numbers, labels.float()], 1)
state = ft.state_dict()
found |= {f"ft.{key}": weight for key, weight in state.items()}
found["ft.cls"] = state["cls_embedding.weight"][None].clone()
found["ft.labels"] = state["cat_embeddings.embeddings.0.weight"] + state["cat_embeddings.bias"][0]


class Layer(nn.Module):
    def __init__(self, inputs: int, outputs: int, side: int, stride: int):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, side, stride, side // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return self.bn(self.conv(x))


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.first, self.second = Layer(inputs, outputs, 3, stride), Layer(outputs, outputs, 3, 1)
        self.aside = Layer(inputs, outputs, 1, 1) if stride > 1 or inputs != outputs else None
        self.pool = nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False) if stride > 1 else nn.Identity()

    def forward(self, x):
        h = self.second(self.first(x).relu())
        return (h + (x if self.aside is None else self.aside(self.pool(x)))).relu()


class Resnet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.fc = Layer(3, 4, 3, 1), nn.Linear(6, 5)
        self.stage = nn.ModuleList([nn.ModuleList([Block(4, 4, 1)]), nn.ModuleList([Block(4, 6, 2)])])

    def forward(self, x):
        x = self.stem(x).relu()
        for stage in self.stage:
            for block in stage:
                x = block(x)
        return self.fc(x.mean((2, 3)))


resnet = Resnet()
for _ in range(3):  # running means and variances
    resnet(torch.randn(4, 3, 7, 5))
stir(resnet)
pictures = torch.randn(4, 3, 7, 5)
with torch.no_grad():
    found["resnet.answers"] = resnet(pictures)
found["resnet.x"] = pictures.permute(0, 2, 3, 1)
found |= {f"resnet.{key}": weight for key, weight in resnet.state_dict().items() if "num_batches" not in key}

save_file({key: value.contiguous() for key, value in found.items()}, Path(__file__).resolve().parent / "encoder.safetensors")
