"""Rewards: the scores of completions, computed in processes that are killed at a deadline.

It may import plugins/, errors and types. Nothing in it imports torch.
"""
