"""Labelled rows in, a calibrated model out; knows no registry and nothing of how it will be used."""
