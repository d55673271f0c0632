"""Trust: rewards and plugins tried before they train, and rollouts scored again afterwards.

It may import plan/, data/, rewards/ and what they may.
"""
