"""Rescoring: saved completions, of a stage or of any file, scored again without a model.

It may import plan/, data/, rewards/ and what they may.
"""
