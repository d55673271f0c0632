"""The commands of `r1trl`: the arguments of each beside what it does.

It may import everything but cli.py. A command imports what it needs when it is carried out, so that
the others stay fast.
"""
