"""A Ray on the loop-back address in a process of its own: prints its address, and ends when its standard input does."""

from __future__ import annotations

import sys

from jobs.ray_session import close_ray, open_ray, store_bytes

if __name__ == "__main__":
    open_ray(None, num_cpus=2, num_gpus_per_worker=0.0, store=store_bytes(workers=2, in_flight=3, batch_bytes=1 << 20))
    import ray

    sys.stdout.write(f"{ray.get_runtime_context().gcs_address}\n")
    sys.stdout.flush()
    sys.stdin.read()
    close_ray()
