"""TRL's arguments, checked before anything starts: fields read from source, values, combinations.

It may import config/, plugins/, fields and errors; it imports neither torch nor TRL.
"""
