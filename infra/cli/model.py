"""`scones train` and `scones evaluate`."""

from pathlib import Path

import click

from infra.cli.progress import steps
from infra.stack import state_folder
from model.files import DEFAULT_MODEL


@click.command()
@click.option(
    "--data", type=click.Path(path_type=Path, exists=True), help="Archive or folder; none: CIFAR-100."
)
@click.option("--classes", default="", help="Names, separated by spaces; none: all.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write the model to.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--target-precision",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.99,
    show_default=True,
    help="Of accepted images: chooses the thresholds.",
)
@click.option("--epochs", type=click.IntRange(1), help="None: the recipe's.")
@click.option(
    "--drawn-share",
    type=click.FloatRange(0),
    default=0.1,
    show_default=True,
    help="Drawings to learn from for every image, where all classes can be drawn.",
)
@click.option("--workers", type=click.IntRange(1), help="Processes; none: one a core.")
def train(
    data: Path | None,
    classes: str,
    out: Path | None,
    seed: int,
    target_precision: float,
    epochs: int | None,
    drawn_share: float,
    workers: int | None,
) -> None:
    """Train a model on labelled images. Needs torch: `make train` installs it."""
    from model.training.train import train_and_write

    trained = train_and_write(
        data=data,
        download_to=state_folder() / "cifar-100-python.tar.gz",
        classes=classes.split(),
        out=out or state_folder() / "model",
        seed=seed,
        target_precision=target_precision,
        epochs=epochs,
        drawn_share=drawn_share,
        workers=workers,
        steps=steps,
        say=click.echo,
    )
    click.echo(trained.text())


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Archive or folder of images.")
@click.option("--part", type=click.Choice(["train", "test"]), help="None: test, if the data has one.")
@click.option("--model", type=click.Path(path_type=Path), default=DEFAULT_MODEL, help="Folder of a model.")
@click.option("--endpoint-url", help="Ask URL/invocations instead of the model's file.")
@click.option("--endpoint-name", help="Ask this SageMaker endpoint instead.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for figures and diagrams.")
def evaluate(
    data: Path,
    part: str | None,
    model: Path,
    endpoint_url: str | None,
    endpoint_name: str | None,
    out: Path | None,
) -> None:
    """Measure a model on labelled images that it has not seen."""
    from model.training import evaluate as evaluation

    if endpoint_url and endpoint_name:
        raise click.UsageError("give either --endpoint-url or --endpoint-name")
    measured = evaluation.evaluate(
        data,
        part=part,  # type: ignore[arg-type]
        model=model,
        endpoint_url=endpoint_url,
        endpoint_name=endpoint_name,
        steps=steps,
    )
    out = out or state_folder() / "evaluation"
    measured.write(out)
    click.echo(measured.text())
    click.echo(f"\ndiagrams and figures: {out}")
