"""`r1trl doctor`: whether a machine, or the nodes of an allocation, can carry stages.

The driver asks the nodes of a launch as a run does (r1trl.launch), each node looks at what it has
(`python -m r1trl.doctor.machine`), and the ranks make a process group as those of a stage do
(`python -m r1trl.doctor.ranks`). It may import what launch may, and launch and plan.
"""
