"""Parsl on vine: name `VineExecutor` in a Parsl configuration, and its apps run here (extra `vine-runtime[parsl]`)."""

from importlib.util import find_spec

if find_spec("parsl") is None:
    raise ImportError("vine.parsl is for programs written for Parsl: pip install 'vine-runtime[parsl]'")

from vine.parsl.config import FactoryConfig, ManagerConfig
from vine.parsl.executor import VineExecutor

__all__ = ["FactoryConfig", "ManagerConfig", "VineExecutor"]
