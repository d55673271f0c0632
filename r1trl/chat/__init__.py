"""Conversations as a model reads them: chat templates, reasoning, the ends of turns.

It may import errors, transformers' and torch's names, and nothing else of r1trl.
"""
