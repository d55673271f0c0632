"""A sweep: its runs one after another, equal stages carried out once, and a page at the end.

It may import everything but the command line.
"""
