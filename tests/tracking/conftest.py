"""A run of stages that take no time."""

from toy_run import toy

__all__ = ["toy"]
