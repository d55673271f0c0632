"""Dealing: which process passes which completion of an update, and in which micro-batch.

An update trains on the rows that TRL gives it; who passes which of them changes, so that processes
wait little for each other. It may import torch, `process`, `packing` and `stage`.
"""
