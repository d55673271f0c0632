"""Expressions: parsed and compared by math-verify, in scoring processes only."""
