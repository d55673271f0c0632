"""The run: the loop over stages, the launchers, and the worker that carries a stage out.

It may import everything but the command line.
"""
