"""Model servers of a stage: what each node has of them, started, watched, restarted, and asked for.

A stage's launcher starts `python -m r1trl.serve.node` on each node that has servers. Nodes and the
stage's workers talk through files in the stage's folder serve/. It may import process, errors.py,
config, stage, storage and watch.
"""
