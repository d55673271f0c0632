"""What there is to choose from, and where each value of a composed run is from.

It may import the config, plugins, the arguments of TRL, the plan's words and the report's tables.
"""
