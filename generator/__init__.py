"""Numbers to pixels: condition encoders, attention branches, the denoiser, its sampler and its training."""
