"""`vultus train`: one command for each recipe."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from vultus.cli import options
from vultus.cli.output import print_json, print_table
from vultus.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from vultus.training.settings import TrainSettings

# Name -> module and class of the recipe: in words, for importing one costs seconds of torch.
RECIPES: Final = {
    "mtcnn": ("vultus.training.recipes.mtcnn", "MTCNNRecipe"),
    "retinaface": ("vultus.training.recipes.retinaface", "RetinaFaceRecipe"),
    "facenet_triplet": ("vultus.training.recipes.facenet_triplet", "FaceNetRecipe"),
    "center_loss": ("vultus.training.recipes.center_loss", "CenterLossRecipe"),
    "siamese_contrastive": ("vultus.training.recipes.siamese_contrastive", "SiameseRecipe"),
    "sphereface": ("vultus.training.recipes.sphereface", "SphereFaceRecipe"),
    "cosface": ("vultus.training.recipes.cosface", "CosFaceRecipe"),
    "arcface": ("vultus.training.recipes.arcface", "ArcFaceRecipe"),
    "distil": ("vultus.training.recipes.distil", "DistilRecipe"),
    "qat": ("vultus.training.recipes.qat", "QATRecipe"),
    "adapt": ("vultus.training.recipes.adapt", "AdaptRecipe"),
    "moco": ("vultus.training.recipes.moco", "MoCoRecipe"),
    "yolov5_face": ("vultus.training.recipes.yolov5_face", "YOLOv5FaceRecipe"),
}


def train(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help=f"One of {', '.join(RECIPES)}.", show_default=False)
    ],
    *,
    run: Annotated[
        Path | None,
        typer.Option(
            "--run", metavar="DIR", help="The run's folder; one that is there goes on.", show_default=False
        ),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Change a knob; repeatable.", show_default=False),
    ] = None,
    knobs: Annotated[bool, typer.Option("--knobs", help="List the recipe's knobs, and stop.")] = False,
    as_json: options.Json = False,
) -> None:
    """Train a network. What is stopped, or killed, goes on from its checkpoint with the same command.

    Example: vultus train retinaface --knobs

    Example: vultus train retinaface --run runs/retinaface --set epochs=50 --set lr=0.001

    Example: torchrun --nproc-per-node 2 -m -- vultus train retinaface --run runs/retinaface
    """
    from vultus.training.overrides import overridden

    module, recipe_class = load_recipe(recipe)
    settings = overridden(recipe_class, assignments or ())
    if knobs:
        _show_knobs(settings, as_json=as_json)
        return
    if run is None:
        raise InputError("name the run's folder: --run runs/NAME")
    figures = module.train(settings, run)
    if as_json:
        print_json({"run": str(run), **figures})
    else:
        typer.echo(f"trained; weights, log and curves are in {run}")


def _show_knobs(settings: TrainSettings, *, as_json: bool) -> None:
    """Each knob with its value, its default, what it can be, and what it does."""
    from vultus.training.knobs import knobs as knobs_of

    told = [(knob, getattr(settings, knob.name)) for knob in knobs_of(type(settings))]
    if as_json:
        rows = [knob._asdict() | {"value": value} for knob, value in told]
        print_json([{key: _plain(value) for key, value in row.items()} for row in rows])
        return
    for is_own, title in ((True, "its own knobs"), (False, "knobs of every recipe")):
        rows = [
            {"knob": knob.name, "value": _written(value, knob.default), "meaning": knob.meaning}
            for knob, value in told
            if knob.is_own is is_own
        ]
        print_table(rows, columns={"knob": "knob", "value": "value", "meaning": "what it does"}, title=title)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _written(value: Any, default: Any) -> str:
    """As `--set` wants it."""
    if value != default:
        return f"{_written(value, value)} (default: {_written(default, default)})"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def load_recipe(name: str) -> tuple[Any, type[TrainSettings]]:
    """The module of a recipe, which has `train(recipe, folder)`, and the class of its knobs.

    Raises:
        InputError: no recipe of this name.
        MissingExtraError: the extra `train` is not installed.
    """
    if name not in RECIPES:
        raise InputError(f"unknown recipe {name!r}; there are {', '.join(RECIPES)}")
    module_name, class_name = RECIPES[name]
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("vultus"):
            raise
        raise MissingExtraError(
            f"training needs {error.name}, which is not installed: pip install 'vultus[train]'"
        ) from error
    return module, getattr(module, class_name)
