from __future__ import annotations

import pytest
import torch

from generator.conditions import ConditionConfig, ConditionEncoder
from tests.generator import tiny

CONFIG = tiny.CONDITIONS


def embeddings(count: int, *, seed: int = 0) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    rows = tiny.rows(count, seed=seed)
    return {name: torch.from_numpy(e) for name, e in rows.identity_embeddings.items()}, torch.from_numpy(rows.expression_embedding)


def test_every_condition_has_its_own_group_of_tokens():
    encoder = tiny.condition_encoder().eval()
    identity, expression = embeddings(3)
    tokens = encoder(identity, expression)
    per = CONFIG.tokens_per_condition
    assert tokens.shape == (3, (len(CONFIG.identity_dims) + 1) * per, CONFIG.token_dim)
    other_identity, other_expression = embeddings(3, seed=1)
    moved = (encoder({**identity, "metric": other_identity["metric"]}, expression) - tokens).abs().amax(dim=(0, 2))
    assert (moved > 0).tolist() == [False] * per + [True] * per + [False] * per
    moved = (encoder(identity, other_expression) - tokens).abs().amax(dim=(0, 2))
    assert (moved > 0).tolist() == [False] * 2 * per + [True] * per


def test_token_order_is_that_of_the_configuration_not_of_the_mapping():
    encoder = tiny.condition_encoder().eval()
    identity, expression = embeddings(2)
    turned = dict(reversed(identity.items()))
    assert torch.equal(encoder(identity, expression), encoder(turned, expression))


def test_a_dropped_condition_is_the_null_token_of_its_own():
    encoder = tiny.condition_encoder().eval()
    with torch.no_grad():
        for i, mlp in enumerate([*encoder.identity.values(), encoder.expression]):
            mlp.null.fill_(i + 1.0)
    identity, expression = embeddings(4)
    keep_identity, keep_expression = torch.tensor([True, False, True, False]), torch.tensor([True, True, False, False])
    tokens = encoder(identity, expression, keep_identity=keep_identity, keep_expression=keep_expression)
    null, full = encoder.null(4), encoder(identity, expression)
    split = 2 * CONFIG.tokens_per_condition
    for row in range(4):
        assert torch.equal(tokens[row, :split], (full if keep_identity[row] else null)[row, :split])
        assert torch.equal(tokens[row, split:], (full if keep_expression[row] else null)[row, split:])


def test_null_conditions_are_learned_from_zero():
    encoder = ConditionEncoder(CONFIG)
    assert not encoder.null(2).any()
    assert all(mlp.null.requires_grad for mlp in [*encoder.identity.values(), encoder.expression])


def test_unit_embeddings_of_any_width_reach_the_perceptrons_with_unit_variance():
    seen = []
    encoder = tiny.condition_encoder().eval()
    for mlp in encoder.identity.values():
        mlp.layers.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    encoder(*embeddings(5))
    for values in seen:
        torch.testing.assert_close(values.square().mean(dim=1), torch.ones(5))


def test_a_core_without_an_identity_encoder_is_refused():
    with pytest.raises(ValueError, match="identity_dims is empty"):
        ConditionConfig(identity_dims={}, expression_dim=4, token_dim=8)
