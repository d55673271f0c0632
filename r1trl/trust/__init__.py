"""Trust: rewards and plugins tried before they train.

It may import plan/, data/, rewards/ and what they may.
"""
