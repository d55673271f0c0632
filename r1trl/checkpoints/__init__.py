"""Checkpoints of training: whole or not used, complete, exact to continue from, removed in time.

It may import stage and what lies below it. Transformers and torch save most of a checkpoint; what
they leave out is added here, and a mark is written last.
"""
