"""Starting a stage's processes: here, or on many nodes by the engine that holds them.

accelerate starts the processes of a node. Which nodes, and what becomes of them, is Slurm's or
Ray's: a stage is one step of theirs, `srun` or `python -m r1trl.launch.rays`, that runs
`python -m r1trl.launch.node` once on each node. Leaving, heartbeats and errors go through the
stage's files (r1trl.watch). It may import process, errors.py, config, stage, identity and watch.
"""
