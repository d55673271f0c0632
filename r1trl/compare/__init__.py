"""Runs beside each other: in what their configs differ, their scores, curves, time and tokens.

It reads runs' files alone, and shows them by the page and the tables of report/. It may import
report/, generation/ and what is below them.
"""
