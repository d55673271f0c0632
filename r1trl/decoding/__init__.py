"""Decoding: completions sampled from a model in this process, with a KV cache.

It may import torch and transformers, and nothing of r1trl.
"""
