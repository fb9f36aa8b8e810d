"""Calibrators: maps from predictions to better probabilities, fitted to rows that the model was not trained on."""
