"""The built-in model as PyTorch: a Llama whose feed-forward gate and up pass through ReLU (dReLU).

Works on ids and weights; knows nothing of text or files.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Shape:
    width: int = 256
    layers: int = 4
    heads: int = 8
    kv_heads: int = 4
    neurons: int = 704
    vocabulary: int = 2048
    context: int = 1024
    rope_base: float = 10000.0
    epsilon: float = 1e-5


def norm(x, weight, epsilon):
    """RMS norm over the last axis."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + epsilon) * weight


def rotate(x, cos, sin):
    """Turns neighbouring pairs of a head by the angle of their position: x [b, heads, t, dim]."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


class DoubleRelu(torch.autograd.Function):
    """max(0, gate) * max(0, up) of [.., 2 neurons], with a penalty on what is not zero.

    The penalty is that of `penalty * (sum(active) + 0.3 * sum(max(0, gate)))` in the loss; it comes
    in here because its gradient is a constant.
    """

    @staticmethod
    def forward(ctx, gate_up, penalty):
        fired = gate_up.clamp_min_(0)
        ctx.mark_dirty(gate_up)
        gate, up = fired.chunk(2, -1)
        ctx.save_for_backward(fired)
        ctx.penalty = penalty
        return gate * up, fired

    @staticmethod
    def backward(ctx, grad, _):
        (fired,) = ctx.saved_tensors
        gate, up = fired.chunk(2, -1)
        grad = grad + ctx.penalty
        both = torch.empty_like(fired)
        to_gate, to_up = both.chunk(2, -1)
        torch.mul(grad, up, out=to_gate)
        to_gate += 0.3 * ctx.penalty
        torch.mul(grad, gate, out=to_up)
        return torch.ops.aten.threshold_backward(both, fired, 0), None


class Layer(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        width, dim = shape.width, shape.width // shape.heads
        self.attn_norm = nn.Parameter(torch.ones(width))
        self.ffn_norm = nn.Parameter(torch.ones(width))
        self.qkv = nn.Linear(width, width + 2 * shape.kv_heads * dim, bias=False)
        self.attn_output = nn.Linear(width, width, bias=False)
        self.gate_up = nn.Linear(width, 2 * shape.neurons, bias=False)
        self.ffn_down = nn.Linear(shape.neurons, width, bias=False)
        small = 0.02 / math.sqrt(2 * shape.layers)
        for matrix, spread in (
            (self.qkv, 0.04),
            (self.attn_output, small),
            (self.gate_up, 0.06),
            (self.ffn_down, small),
        ):
            nn.init.normal_(matrix.weight, std=spread)

    def attend(self, x, cos, sin, mask):
        shape, (b, t, width) = self.shape, x.shape
        dim, groups = width // shape.heads, shape.heads // shape.kv_heads
        q, k, v = self.qkv(norm(x, self.attn_norm, shape.epsilon)).split(
            (width, shape.kv_heads * dim, shape.kv_heads * dim), -1
        )
        q = rotate(q.view(b, t, shape.heads, dim).transpose(1, 2), cos, sin)
        k = rotate(k.view(b, t, shape.kv_heads, dim).transpose(1, 2), cos, sin)
        v = v.view(b, t, shape.kv_heads, dim).transpose(1, 2)
        k, v = (each.repeat_interleave(groups, 1).reshape(-1, t, dim) for each in (k, v))
        scores = torch.baddbmm(
            mask, q.reshape(-1, t, dim), k.transpose(1, 2), alpha=1 / math.sqrt(dim)
        )
        heads = torch.bmm(scores.softmax(-1), v).view(b, shape.heads, t, dim)
        return self.attn_output(heads.transpose(1, 2).reshape(b, t, width))

    def forward(self, x, cos, sin, mask, penalty):
        x = x + self.attend(x, cos, sin, mask)
        gate_up = self.gate_up(norm(x, self.ffn_norm, self.shape.epsilon))
        active, _ = DoubleRelu.apply(gate_up, penalty)
        return x + self.ffn_down(active), active.detach()


class Model(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.output_norm = nn.Parameter(torch.ones(shape.width))
        dim = shape.width // shape.heads
        turns = shape.rope_base ** (-torch.arange(0, dim, 2).float() / dim)
        angles = torch.arange(shape.context).float()[:, None] * turns
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, ids, penalty=0.0):
        """Hidden states [b, t, width] before the vocabulary, and what each layer's neurons gave."""
        t = ids.shape[1]
        mask = torch.full((1, t, t), -math.inf).triu(1)
        x = self.embedding(ids)
        fired = []
        for layer in self.layers:
            x, active = layer(x, self.cos[:t], self.sin[:t], mask, penalty)
            fired.append(active)
        return norm(x, self.output_norm, self.shape.epsilon), fired

    def score(self, hidden):
        """Logits; the embedding's matrix is the output's, too."""
        return hidden @ self.embedding.weight.t()


def gguf_tensors(model):
    """Names as GGUF has them, each with its matrix [rows, columns] or vector."""
    shape = model.shape
    kv_width = shape.kv_heads * (shape.width // shape.heads)
    yield "token_embd.weight", model.embedding.weight
    yield "output_norm.weight", model.output_norm
    for i, layer in enumerate(model.layers):
        q, k, v = layer.qkv.weight.split((shape.width, kv_width, kv_width))
        gate, up = layer.gate_up.weight.chunk(2)
        yield f"blk.{i}.attn_norm.weight", layer.attn_norm
        yield f"blk.{i}.attn_q.weight", q
        yield f"blk.{i}.attn_k.weight", k
        yield f"blk.{i}.attn_v.weight", v
        yield f"blk.{i}.attn_output.weight", layer.attn_output.weight
        yield f"blk.{i}.ffn_norm.weight", layer.ffn_norm
        yield f"blk.{i}.ffn_gate.weight", gate
        yield f"blk.{i}.ffn_up.weight", up
        yield f"blk.{i}.ffn_down.weight", layer.ffn_down.weight
