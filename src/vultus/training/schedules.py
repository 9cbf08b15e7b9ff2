"""The course of the learning rate: a factor for each step, warm-up first.

Linear warm-up and the steps at milestones: Goyal et al.: Accurate, large minibatch SGD. 2017.
https://arxiv.org/abs/1706.02677
Cosine: Loshchilov, Hutter: SGDR. ICLR 2017. https://arxiv.org/abs/1608.03983
Poly: (1 - t) ** power, as the margin-loss recipes of InsightFace use it, with power 2.
"""

import math

from vultus.training.settings import TrainSettings


def lr_factor(step: int, *, settings: TrainSettings, steps_per_epoch: int) -> float:
    """What `lr` is multiplied by in a step, counted from 0.

    The warm-up ends at 1, in its last step; what follows it is measured from there to the end.
    """
    warmup_steps = round(settings.warmup_epochs * steps_per_epoch)
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if settings.schedule == "constant":
        return 1.0
    if settings.schedule == "milestones":
        passed = sum(step >= epoch * steps_per_epoch for epoch in settings.milestones)
        return settings.gamma**passed
    total = settings.epochs * steps_per_epoch
    share = min(1.0, (step - warmup_steps) / max(1, total - warmup_steps))
    left = (
        (1 + math.cos(math.pi * share)) / 2
        if settings.schedule == "cosine"
        else (1 - share) ** settings.power
    )
    return settings.final_lr_share + (1 - settings.final_lr_share) * left
