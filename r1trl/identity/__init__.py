"""What a stage's result was made from: settings, contents of inputs, source of plugins.

It may import storage/, plugins/, config/ and stage/. The plan compares, and the worker records.
"""
