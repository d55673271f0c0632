"""Recipes tried before they run: in miniature (`plan --rehearse`), and a run's first preflight.

It may import run/ and everything below; only the command line imports it.
"""
