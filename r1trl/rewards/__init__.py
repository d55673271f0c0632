"""Rewards: what a completion is worth, scored in processes that are killed at a deadline.

It may import plugins/, errors and types. Nothing in it imports torch.
"""
