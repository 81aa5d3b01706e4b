"""Runs on other machines: submission to a Ray cluster, and the files that Kubernetes and SLURM are given."""
