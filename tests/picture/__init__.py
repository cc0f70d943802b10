"""The picture of the weekly report in the README."""

import scones

scones.put_on_path()
