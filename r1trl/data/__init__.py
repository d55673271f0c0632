"""The rows of a stage: sources loaded, columns mapped, filters applied, prompts rendered.

It may import files/, stage/, config/ and plugins/.
"""
