"""The model: data, training, calibration, and serving."""
