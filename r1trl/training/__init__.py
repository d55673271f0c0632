"""Training with TRL: its trainers with r1trl's rewards, samplers, passes and records in them.

It may import data/, rewards/, decoding/ and packing/. TRL's private names are used here and
in packing/ only.
"""
