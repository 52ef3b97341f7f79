"""Parsl on vine: name `VineExecutor` in a Parsl configuration, and its apps run here (extra `vine-runtime[parsl]`)."""

from vine.parsl.config import FactoryConfig, ManagerConfig
from vine.parsl.executor import VineExecutor

__all__ = ["FactoryConfig", "ManagerConfig", "VineExecutor"]
