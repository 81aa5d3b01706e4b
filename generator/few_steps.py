"""Few-step weights of a denoiser: low-rank additions that a distillation learned, kept beside the core and merged when a sampler asks for them."""

# D_out D_in widths of a layer (of a convolution: input channels x kernel), r rank

from __future__ import annotations

import copy
import hashlib
import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from generator.denoiser import SFSRDenoiser
from manifests.errors import ConfigError, WeightsError

FILE_NAME = "few_steps.safetensors"  # in a core folder
SETTINGS = "few_steps"  # key of the file's metadata
BLOCKS = ("attentions", "resnets")  # parts of a UNet whose linear and convolution layers get additions


@dataclass(frozen=True, kw_only=True)
class FewStepSettings:
    """What few-step weights are for; in the metadata of their file, so that one file holds all."""

    guidance: float  # that was distilled in
    phases: int  # number of steps that was distilled for
    rank: int
    denoiser_sha256: str  # of the denoiser that they are added to


class Addition(nn.Module):
    """up @ down, which is added to a layer's weight; zero at first (Hu et al. 2022, LoRA, section 4.1)."""

    def __init__(self, weight: Tensor, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        width = math.prod(weight.shape[1:])  # D_in
        self.shape = weight.shape
        self.down = nn.Parameter(torch.randn(rank, width, generator=generator) * width**-0.5)  # (r, D_in)
        self.up = nn.Parameter(torch.zeros(weight.shape[0], rank))  # (D_out, r)

    def forward(self) -> Tensor:
        """The addition, of the weight's shape."""
        return (self.up @ self.down).view(self.shape)


class FewSteps(nn.Module):
    """Additions to the linear and convolution layers in a denoiser's attention and residual blocks.

    The denoiser itself is left alone: `weights` gives what its layers would have, for torch.func.functional_call in a training,
    and `merged` a copy that has them. Both are the same sum.
    """

    def __init__(self, denoiser: SFSRDenoiser, settings: FewStepSettings, *, seed: int = 0) -> None:
        super().__init__()
        self.settings = settings
        generator = torch.Generator().manual_seed(seed)
        # subtle: names of modules may hold no full stop
        self.layers = nn.ModuleDict({name.replace(".", "/"): Addition(weight, settings.rank, generator) for name, weight in added_to(denoiser).items()})

    def weights(self, denoiser: SFSRDenoiser) -> dict[str, Tensor]:
        """The sums of the denoiser's weights and their additions, by the weights' names; gradients reach the additions."""
        own = added_to(denoiser)
        # subtle: under autocast the product would be a bfloat16 one, and merged weights other ones than those of the training
        with torch.autocast(next(self.parameters()).device.type, enabled=False):
            return {name: own[name] + self.layers[name.replace(".", "/")]() for name in own}

    def merged(self, denoiser: SFSRDenoiser) -> SFSRDenoiser:
        """A copy of the denoiser with the additions in its weights. Raises WeightsError for another denoiser than they were distilled from."""
        if fingerprint(denoiser) != self.settings.denoiser_sha256:
            raise WeightsError(
                "core: its few-step weights were distilled from another denoiser than the one beside them. "
                'Train them anew with "facemint train few_steps", or restore both from one place.'
            )
        result = copy.deepcopy(denoiser)
        own = dict(result.named_parameters())
        with torch.no_grad():
            self.to(next(denoiser.parameters()).device)
            for name, weight in self.weights(denoiser).items():
                own[name].copy_(weight)
        return result

    def check_guidance(self, guidance: float) -> None:
        """Raises ConfigError for another guidance than the one that was distilled in."""
        if guidance != self.settings.guidance:
            raise ConfigError(
                f"sampler: guidance is {guidance:g}, but the core's few-step weights were distilled at {self.settings.guidance:g} and have no other. "
                f"Use guidance {self.settings.guidance:g}, or kind dpm++."
            )

    def save(self, path: Path) -> None:
        """Writes the additions as float16 with the settings as metadata."""
        stored = {name: tensor.detach().to("cpu", torch.float16).contiguous() for name, tensor in self.state_dict().items()}
        for name, tensor in stored.items():
            if not bool(torch.isfinite(tensor).all()):
                raise WeightsError(f"few-step weights: {name} has values that float16 can't hold. Train again with a lower learning rate.")
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp")
        save_file(stored, temporary, metadata={"format": "pt", SETTINGS: json.dumps(asdict(self.settings), sort_keys=True)})
        os.replace(temporary, path)


def read_few_steps(path: Path, denoiser: SFSRDenoiser) -> FewSteps:
    """What FewSteps.save wrote, float32 in memory. Raises WeightsError when the file is damaged or belongs to a denoiser of another shape."""
    remedy = "Fetch the file again and compare its sha256, or remove it and train few steps anew."
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 - not a mapping
            settings = FewStepSettings(**json.loads((file.metadata() or {})[SETTINGS]))
    except (SafetensorError, OSError) as error:
        raise WeightsError(f'core: "{path}" is damaged ({error}). {remedy}') from error
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f'core: "{path}" doesn\'t say what it was distilled for ({type(error).__name__}: {error}). {remedy}') from error
    result = FewSteps(denoiser, settings)
    own = {name: tensor.shape for name, tensor in result.state_dict().items()}
    if own != {name: tensor.shape for name, tensor in tensors.items()}:
        raise WeightsError(f'core: "{path}" belongs to a denoiser of another shape than the one beside it. Restore both from one place.')
    result.load_state_dict(tensors)
    return result.eval()


def added_to(denoiser: SFSRDenoiser) -> dict[str, Tensor]:
    """Name and weight of every layer that gets an addition, in the denoiser's own order."""
    return {
        f"{name}.weight": layer.weight
        for name, layer in denoiser.named_modules()
        if isinstance(layer, (nn.Linear, nn.Conv2d)) and any(part in BLOCKS for part in name.split("."))
    }


def fingerprint(denoiser: SFSRDenoiser) -> str:
    """sha256 of the denoiser's numbers as float32, 64 hex digits; the same on every device and in every memory layout."""
    digest = hashlib.sha256()
    for name, tensor in denoiser.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().to("cpu", torch.float32).contiguous().numpy().tobytes())
    return digest.hexdigest()
