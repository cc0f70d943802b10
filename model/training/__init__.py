"""From labelled images to a calibrated model file and its card."""
