"""The weights of a wide SFace in a narrower one: most of what it knows is solved for, not learnt again.

Pruning leaves a network's form as it is and drops channels. Here the narrow one may also have other
activations and a coarser stem, and its layers make up for what is gone:

    choose   the channels that move the embedding most: the square of output times gradient, over random
             directions of the unit embedding
    learn    the stem and two blocks learn, by gradient, to give the wide network's map of 56 x 56: a stem of
             another stride sees other pixels, and cannot be solved for
    solve    every later convolution in order, by least squares: from what the narrow network really computes
             before it, to what the wide one computes behind it. What one layer misses, the next makes up for

Afterwards it learns from the wide one: `vultus train distil` with the result as `start`.

The choice is Molchanov's criterion with the embedding instead of a loss; solving for what a layer gave before
is He's.

Molchanov, Mallya, Tyree, Frosio, Kautz: Importance estimation for neural network pruning. CVPR 2019.
https://arxiv.org/abs/1906.10771
He, Zhang, Sun: Channel pruning for accelerating very deep neural networks. ICCV 2017.
https://arxiv.org/abs/1707.06168
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vultus.errors import InputError
from vultus.networks.embedding import unit
from vultus.networks.measure import Cost, cost_of
from vultus.networks.sface import SFace
from vultus.types import FloatArray

Progress: TypeAlias = Callable[[int], None]  # told how many steps, or blocks, were just finished

BATCH: Final = 32
ASIDE_EVERY: Final = 8
SENSED: Final = 384  # crops that channels are chosen by
DIRECTIONS: Final = 2  # random ones of the embedding, for each batch
STEM_BLOCKS: Final = 2  # behind the second, maps have the same size with either stem
STEM_BATCH: Final = 24
STEM_LR: Final = 6e-3
SOLVED: Final = 768  # crops that layers are solved for; each gives 49 equations or more
RIDGE: Final = 1e-4  # of the mean square of a layer's inputs


@dataclass(frozen=True, slots=True)
class Narrowed:
    """The narrow network, and how near it came.

    Attributes:
        network: in evaluation mode.
        before: cost of the wide one.
        after: cost of this one.
        cosines: mean cosine to the wide one's embeddings of the faces kept aside, by step:
            `channels dropped`, `stem learnt`, `layers solved`.
    """

    network: SFace
    before: Cost
    after: Cost
    cosines: dict[str, float]


def narrow(
    wide: SFace,
    slim: SFace,
    images: Tensor | FloatArray,
    *,
    steps: int,
    on_progress: Progress | None = None,
) -> Narrowed:
    """Fill a narrower network with what a wide one knows.

    Args:
        wide: with its weights; it is left as it is.
        slim: no layer wider than the wide one's; its own weights are lost.
        images: (N, 3, 112, 112) faces as both take them, better thousands than hundreds. Every eighth is kept
            aside, to say how near it came.
        steps: in which the stem learns.
        on_progress: told of each of these steps, and of each of the 11 blocks that are solved.

    Raises:
        InputError: fewer than eight faces, a layer of the narrow network is wider, or its embeddings have
            another size.
    """
    if len(images) < ASIDE_EVERY:
        raise InputError(f"give {ASIDE_EVERY} faces or more, better thousands, got {len(images)}")
    if any(few > many for few, many in zip(widths(slim), widths(wide), strict=True)):
        raise InputError(f"no layer may become wider, got {widths(slim)} for {widths(wide)}")
    sizes = slim.project.out_features, wide.project.out_features
    if sizes[0] != sizes[1]:
        raise InputError(f"embeddings keep their size, got {sizes[0]} for {sizes[1]}")
    wide, slim = copy.deepcopy(wide).eval().requires_grad_(False), slim.eval()
    tell = on_progress or (lambda _: None)
    images = torch.as_tensor(images)
    is_aside = torch.arange(len(images)) % ASIDE_EVERY == 0
    images, aside = images[~is_aside], images[is_aside]
    chance = torch.Generator().manual_seed(0)
    order = torch.randperm(len(images), generator=chance)  # sets come sorted by person
    scores = sensitivities(wide, images[order[:SENSED]], chance=chance)
    kept = [
        score.topk(count).indices.sort().values for score, count in zip(scores, widths(slim), strict=True)
    ]
    cosines = {}
    _drop_channels(wide, slim, kept)
    cosines["channels dropped"] = _mean_cosine(slim, wide, aside)
    _learn_stem(wide, slim, images, kept[STEM_BLOCKS], steps=steps, chance=chance, tell=tell)
    cosines["stem learnt"] = _mean_cosine(slim, wide, aside)
    _solve_blocks(wide, slim, images[order[:SOLVED]], kept, tell=tell)
    cosines["layers solved"] = _mean_cosine(slim, wide, aside)
    return Narrowed(slim, cost_of(wide, (images[:1],)), cost_of(slim, (images[:1],)), cosines)


def widths(network: SFace) -> list[int]:
    """Channels behind the stem and behind each block."""
    return [stage[-2].num_features for stage in _stages(network)]


def sensitivities(network: SFace, images: Tensor, *, chance: torch.Generator) -> list[Tensor]:
    """For the stem and each block (C,): how much each channel of its output moves the unit embedding.

    Args:
        network: in evaluation mode, its parameters without gradients.
        images: (N, 3, 112, 112).
        chance: chooses the directions.
    """
    totals = [torch.zeros(count) for count in widths(network)]
    for batch in torch.split(images, BATCH):
        for _ in range(DIRECTIONS):
            outputs = _outputs(network, batch)
            embeddings = unit(_head(network, outputs[-1]))
            direction = torch.randn(embeddings.shape, generator=chance)
            gradients = torch.autograd.grad((embeddings * direction).sum(), outputs)
            for total, output, gradient in zip(totals, outputs, gradients, strict=True):
                total.add_((output.detach() * gradient).sum((2, 3)).square().sum(0))
    return totals


def _outputs(network: SFace, images: Tensor) -> list[Tensor]:
    """What stem and blocks give; the graph begins at the stem's output."""
    first, *others = _stages(network)
    outputs = [first(images).requires_grad_()]
    for stage in others:
        outputs.append(stage(outputs[-1]))
    return outputs


def _stages(network: SFace) -> list[Any]:
    """The stem and the blocks: each ends with batch norm and activation."""
    return [network.stem, *network.blocks]


def _head(network: SFace, maps: Tensor) -> Tensor:
    raw: Tensor = network.bn(network.project(network.map_bn(maps).flatten(1)))
    return raw


@torch.no_grad()
def _drop_channels(wide: SFace, slim: SFace, kept: Sequence[Tensor]) -> None:
    """Give every layer of the narrow network the wide one's weights of the channels that stay."""
    _stages(slim)[0][0].weight.copy_(_stages(wide)[0][0].weight[kept[0]])
    _take(_stages(slim)[0][1], _stages(wide)[0][1], kept[0])
    for few, many, inputs, outputs in zip(_blocks(slim), _blocks(wide), kept, kept[1:], strict=False):
        depthwise, first_norm, _, pointwise, second_norm, _ = few
        depthwise.weight.copy_(many[0].weight[inputs])
        _take(first_norm, many[1], inputs)
        pointwise.weight.copy_(many[3].weight[outputs][:, inputs])
        _take(second_norm, many[4], outputs)
    _take(slim.map_bn, wide.map_bn, kept[-1])
    by_channel = wide.project.weight.reshape(len(wide.project.weight), wide.map_bn.num_features, -1)
    slim.project.weight.copy_(by_channel[:, kept[-1]].flatten(1))
    slim.project.bias.copy_(wide.project.bias)
    slim.bn.load_state_dict(wide.bn.state_dict())


def _blocks(network: SFace) -> list[Any]:
    """Each is depthwise, batch norm, activation, pointwise, batch norm, activation."""
    return list(network.blocks)


def _take(few: Any, many: Any, kept: Tensor) -> None:
    """Give a batch norm another one's values of these channels."""
    few.load_state_dict(
        {name: value[kept] if value.ndim else value for name, value in many.state_dict().items()}
    )


@torch.no_grad()
def _mean_cosine(slim: SFace, wide: SFace, images: Tensor) -> float:
    cosines = [F.cosine_similarity(slim(batch), wide(batch)) for batch in torch.split(images, BATCH)]
    return float(torch.cat(cosines).mean())


def _learn_stem(
    wide: SFace,
    slim: SFace,
    images: Tensor,
    kept: Tensor,
    *,
    steps: int,
    chance: torch.Generator,
    tell: Progress,
) -> None:
    """Let the narrow stem and first blocks give the map that the wide ones give.

    What is compared is the output of its last batch norm, in units of each channel's variance: behind the
    activation, a channel that is below zero everywhere would never learn.
    """
    parts = _stages(slim)[: STEM_BLOCKS + 1]
    optimizer = torch.optim.AdamW([one for part in parts for one in part.parameters()], lr=STEM_LR)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, STEM_LR, total_steps=steps)
    slim.train()
    for step in range(steps):
        batch = images[torch.randint(len(images), (STEM_BATCH,), generator=chance)]
        batch = batch.flip(3) if step % 2 else batch
        target = _shared_map(wide, batch)[:, kept]
        spread = target.var((0, 2, 3), keepdim=True).clamp_min(torch.finfo(target.dtype).eps)
        given = parts[-1][:-1](_through(parts[:-1], batch))
        loss = ((given - target).square() / spread).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        tell(1)
    slim.eval()


def _through(layers: Sequence[nn.Module], maps: Tensor) -> Tensor:
    for layer in layers:
        maps = layer(maps)
    return maps


def _shared_map(network: SFace, images: Tensor) -> Tensor:
    """What the first blocks give: with either stem, 56 x 56 positions."""
    return _through(_stages(network)[: STEM_BLOCKS + 1], images)


@torch.no_grad()
def _solve_blocks(
    wide: SFace, slim: SFace, images: Tensor, kept: Sequence[Tensor], *, tell: Progress
) -> None:
    """Solve the blocks behind the shared map, each from what those before it give by now."""
    wanted = [_shared_map(wide, batch) for batch in torch.split(images, BATCH)]
    given = [_shared_map(slim, batch) for batch in torch.split(images, BATCH)]
    for index in range(STEM_BLOCKS, len(slim.blocks)):
        few, many = _blocks(slim)[index], _blocks(wide)[index]
        for start, channels in ((0, kept[index]), (3, kept[index + 1])):
            convolution, norm, activation = few[start : start + 3]
            wanted = [_through(many[start : start + 2], maps) for maps in wanted]
            equations = _depthwise if convolution.groups > 1 else _pointwise
            squares, products = _summed(
                equations(maps, answer[:, channels], convolution.stride[0])
                for maps, answer in zip(given, wanted, strict=True)
            )
            _set(convolution, norm, _solution(squares, products))
            given = [activation(norm(convolution(maps))) for maps in given]
            wanted = [many[start + 2](maps) for maps in wanted]
        tell(1)


def _summed(parts: Any) -> tuple[Tensor, Tensor]:
    squares, products = zip(*parts, strict=True)
    return torch.stack(squares).sum(0), torch.stack(products).sum(0)


def _depthwise(maps: Tensor, answers: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """Normal equations of nine weights and a bias for each channel: (C, 10, 10) and (C, 10, 1)."""
    count, channels = maps.shape[:2]
    windows = F.unfold(maps, 3, padding=1, stride=stride).view(count, channels, 9, -1)
    rows = torch.cat([windows, torch.ones_like(windows[:, :, :1])], 2).permute(1, 0, 3, 2).flatten(1, 2)
    values = answers.flatten(2).transpose(0, 1).flatten(1).unsqueeze(2)
    return rows.mT @ rows, rows.mT @ values


def _pointwise(maps: Tensor, answers: Tensor, stride: int) -> tuple[Tensor, Tensor]:  # noqa: ARG001  # as _depthwise
    """Normal equations of a weight for each input and a bias: (C + 1, C + 1) and (C + 1, outputs)."""
    rows = maps.permute(0, 2, 3, 1).flatten(0, 2)
    rows = torch.cat([rows, torch.ones_like(rows[:, :1])], 1)
    return rows.mT @ rows, rows.mT @ answers.permute(0, 2, 3, 1).flatten(0, 2)


def _solution(squares: Tensor, products: Tensor) -> Tensor:
    """The weights, and the bias in the last row; the ridge keeps those of dead channels near zero."""
    size = squares.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None]
    ridge = (RIDGE * size).clamp_min(torch.finfo(size.dtype).tiny) * torch.eye(squares.shape[-1])
    solution: Tensor = torch.linalg.solve(squares + ridge, products)
    return solution


def _set(convolution: Any, norm: Any, solution: Tensor) -> None:
    """Weights into the convolution, the bias into its batch norm, which scales by 1 then."""
    weights, bias = solution[..., :-1, :], solution[..., -1, :].flatten()
    convolution.weight.copy_(weights.mT.reshape(convolution.weight.shape))
    norm.running_mean.zero_()
    norm.running_var.fill_(1.0)
    norm.weight.fill_((1 + norm.eps) ** 0.5)
    norm.bias.copy_(bias)
