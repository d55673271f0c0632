"""Generation outside training: completions of rows, by a local model or by servers, in shards.

It may import data/, rewards/, decoding/ and what they may; training/ does not depend on it.
"""
