"""A model on benchmarks: as a run of its own, or as one more stage of the run that has made it.

It may import the config, plugins, the plan and the catalog.
"""
