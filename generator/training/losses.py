"""Losses that shape an embedding: margins on class cosines, supervised contrast, and triplets; closed forms, no state."""

# B batch, D width, K classes

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def margin_logits(cosine: Tensor, target: Tensor, *, scale: float, angle: float = 0.0, offset: float = 0.0) -> Tensor:
    """Class logits with a margin on the true class; (B, K) cosines to (B, K).

    The true class' cos(t) becomes cos(t + angle) - offset. ArcFace (Deng et al. 2019), eq. 3, is offset = 0;
    CosFace (Wang et al. 2018), eq. 4, is angle = 0.
    """
    own = cosine.gather(1, target[:, None]).clamp(-1 + 1e-6, 1 - 1e-6)
    lowered = torch.cos(torch.acos(own) + angle) if angle else own
    return scale * cosine.scatter(1, target[:, None], lowered - offset)


def supervised_contrast(unit: Tensor, target: Tensor, *, temperature: float) -> Tensor:
    """Mean over anchors of the mean negative log-probability of their positives; SupCon (Khosla et al. 2020), eq. 2.

    unit (B, D) of unit length; anchors without a positive count as zero.
    """
    logits = unit @ unit.T / temperature
    own = torch.eye(len(unit), dtype=torch.bool)
    positive = (target[:, None] == target[None]) & ~own
    log_probability = logits - torch.logsumexp(logits.masked_fill(own, -torch.inf), dim=1, keepdim=True)
    return -(log_probability * positive).sum(dim=1).div(positive.sum(dim=1).clamp(min=1)).mean()


def weighted_triplet(unit: Tensor, target: Tensor, *, scale: float, focus: float) -> Tensor:
    """Soft-margin triplet loss on a hard-leaning mean of positives and negatives; Ristani and Tomasi (2018), eq. 5.

    unit (B, D). Far positives and near negatives weigh exp(focus * distance) and exp(-focus * distance): focus 0 is the plain mean,
    large focus the hardest one, with which a fresh network collapses into one point.
    """
    distance = (2 - 2 * unit @ unit.T).clamp(min=1e-6).sqrt()
    own = torch.eye(len(unit), dtype=torch.bool)
    same = (target[:, None] == target[None]) & ~own
    other = target[:, None] != target[None]
    to_same = ((focus * distance.detach()).masked_fill(~same, -torch.inf).softmax(dim=1) * distance).sum(dim=1)
    to_other = ((-focus * distance.detach()).masked_fill(~other, -torch.inf).softmax(dim=1) * distance).sum(dim=1)
    return F.softplus(scale * (to_same - to_other)).mean()


def graded_triplet(embedding: Tensor, label: Tensor, *, margin: float) -> Tensor:
    """Triplet loss over all pairs of others: whoever is nearer in `label` should be nearer in `embedding`.

    embedding (B, D), label (B, U); the wanted gap grows with the label gap: margin * min(1, gap / mean gap). Triplets as in
    DLN (Zhang et al. 2021), eq. 1, with distances of labels in place of people's votes. Distances are Euclidean.
    """
    near = (embedding[:, None] - embedding[None]).pow(2).sum(-1).add(1e-6).sqrt()  # (B, B)
    truth = torch.cdist(label, label)
    gap = truth[:, None, :] - truth[:, :, None]  # (anchor, positive, negative): > 0 where negative is farther
    wanted = margin * (gap / gap.abs().mean().clamp(min=1e-6)).clamp(0, 1)
    violation = F.relu(near[:, :, None] - near[:, None, :] + wanted)
    valid = (gap > 0).float()
    own = torch.eye(len(label))
    valid = valid * (1 - own)[:, :, None] * (1 - own)[:, None, :]
    return (violation * valid).sum() / valid.sum().clamp(min=1)


def cross_covariance(a: Tensor, b: Tensor) -> Tensor:
    """Mean squared correlation between the columns of (B, D) and (B, E); zero when neither tells of the other linearly."""
    a = (a - a.mean(dim=0)) / (a.std(dim=0) + 1e-4)
    b = (b - b.mean(dim=0)) / (b.std(dim=0) + 1e-4)
    return (a.T @ b / len(a)).pow(2).mean()
