"""The schema of a run and how it is composed: recipe and overrides in, a checked `RunConfig` out.

It may import plugins/ (options are checked against what plugins offer), errors, fields and types.
"""
