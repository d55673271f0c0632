"""Packing: forward passes over rows without padding, in which a shared prompt is passed once.

It may import torch and transformers, and nothing of r1trl.
"""
