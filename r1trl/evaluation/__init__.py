"""Evaluation inside training: held-out rows answered and scored; training does not notice.

It may import generation/, whose answers and metrics these are, and training/, whose records it
adds to.
"""
