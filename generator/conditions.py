"""Identity and expression embeddings to context tokens: the compound identity and the expression of DiffSFSR."""

# B rows, L tokens per condition, D token width, E embedding width

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class ConditionConfig:
    """Widths of the condition embeddings and of the tokens made from them."""

    identity_dims: dict[str, int]  # embedding width per identity encoder; the order is the order of the tokens
    expression_dim: int
    token_dim: int  # the UNet's cross_attention_dim
    tokens_per_condition: int = 1
    hidden_dim: int = 512

    def __post_init__(self) -> None:
        if not self.identity_dims:
            raise ValueError("identity_dims is empty: at least one identity encoder must condition the denoiser")


class EmbeddingMLP(nn.Module):
    """Two-layer perceptron from one embedding to L tokens: (B, E) -> (B, L, D). DiffSFSR, section 3.2.

    `null` stands for an absent condition (classifier-free guidance); it starts at zero and is learned.
    """

    def __init__(self, embedding_dim: int, token_dim: int, tokens: int, hidden_dim: int) -> None:
        super().__init__()
        self.tokens = tokens
        self.layers = nn.Sequential(nn.Linear(embedding_dim, hidden_dim), nn.SiLU(), nn.Linear(hidden_dim, tokens * token_dim))
        self.norm = nn.LayerNorm(token_dim)
        self.null = nn.Parameter(torch.zeros(tokens, token_dim))

    def forward(self, embedding: Tensor, keep: Tensor) -> Tensor:
        """Tokens of `embedding` (B, E) where `keep` (B,) is true, of the null condition elsewhere."""
        tokens = self.norm(self.layers(embedding).unflatten(1, (self.tokens, -1)))  # (B, L, D)
        return torch.where(keep[:, None, None], tokens, self.null.to(tokens.dtype))


class ConditionEncoder(nn.Module):
    """All context tokens of a batch: one group per identity encoder, then one for the expression.

    identity    name -> (B, E) unit embeddings, one entry per encoder of the configuration
    expression  (B, E_expression)
    returns     (B, (encoders + 1) * L, D)
    """

    def __init__(self, config: ConditionConfig) -> None:
        super().__init__()
        self.config = config
        shape = (config.token_dim, config.tokens_per_condition, config.hidden_dim)
        self.identity = nn.ModuleDict({name: EmbeddingMLP(dim, *shape) for name, dim in config.identity_dims.items()})
        self.expression = EmbeddingMLP(config.expression_dim, *shape)

    def forward(self, identity: Mapping[str, Tensor], expression: Tensor, *, keep_identity: Tensor | None = None,
                keep_expression: Tensor | None = None) -> Tensor:  # fmt: skip
        everything = torch.ones(len(expression), dtype=torch.bool, device=expression.device)
        keep_identity = everything if keep_identity is None else keep_identity
        keep_expression = everything if keep_expression is None else keep_expression
        # subtle: unit vectors of width E have elements of size E^-1/2; the perceptrons want unit variance
        groups = [mlp(identity[name] * identity[name].shape[1] ** 0.5, keep_identity) for name, mlp in self.identity.items()]
        groups.append(self.expression(expression, keep_expression))
        return torch.cat(groups, dim=1)

    def null(self, count: int) -> Tensor:
        """Context of `count` rows without any condition, (count, tokens, D)."""
        perceptrons = [mlp for mlp in [*self.identity.values(), self.expression] if isinstance(mlp, EmbeddingMLP)]
        tokens = torch.cat([mlp.null for mlp in perceptrons])
        return tokens[None].expand(count, -1, -1)
