"""Packing: rows passed through a model as one long row, without padding, shared prompts once.

It may import torch and transformers, and nothing of r1trl.
"""
