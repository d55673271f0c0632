"""Decoding: tokens drawn from a model in this process, prompts read once, ended rows dropped.

It may import torch and transformers, and nothing of r1trl.
"""
