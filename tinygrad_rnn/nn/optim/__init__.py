"""Optimisers and learning-rate schedules, with torch.optim's names, arguments and arithmetic."""

from . import lr_scheduler
from .lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler, StepLR
from .methods import KINDS, SGD, Adagrad, Adam, AdamW, RMSprop
from .optimizer import Optimizer

__all__ = [
    "KINDS",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "CosineAnnealingLR",
    "LRScheduler",
    "LambdaLR",
    "Optimizer",
    "RMSprop",
    "StepLR",
    "lr_scheduler",
]
