"""A stage on disk: the names of its files, where its inputs come from; its processes and GPUs.

It may import config/, plugins/ and what they may; it loads neither torch nor data.
"""
