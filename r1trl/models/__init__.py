"""A model before and after a stage: its folder or Hub id, its tokenizer, its end tokens, adapters.

It may import errors and chat, and nothing else of r1trl; torch and transformers inside functions.
"""
