"""The fixtures of this folder."""

from toy_run import toy

__all__ = ["toy"]
