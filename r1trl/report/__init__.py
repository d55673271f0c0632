"""The report of a run: the scoreboard, the stages and the training curves, as Markdown and HTML.

It may import stage/ and reads a run's files alone.
"""
