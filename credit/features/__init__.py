"""Tables in, one row of features per applicant out, as Ibis expressions; knows no model."""

from credit.features.build import FeatureSet, address, build, express, load, parts
from credit.features.dictionary import Feature, definitions, needed, select

__all__ = ["Feature", "FeatureSet", "address", "build", "definitions", "express", "load", "needed", "parts", "select"]
