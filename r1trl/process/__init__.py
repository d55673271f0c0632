"""What every process of r1trl has: its pulse, an environment, a way to print, a guard of its state.

The lowest folder: it imports nothing else of r1trl.
"""
