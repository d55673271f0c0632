"""Evaluation inside training: held-out rows, and what verdicts say of the stage's own rollouts.

Training notices neither. It may import generation/, whose answers and metrics these are, and
training/, whose records it adds to.
"""
