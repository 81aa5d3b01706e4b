"""Pixels to judgements: decoding, faces, recognition, expression, checks, statistics and the report; no torch, no ray."""
