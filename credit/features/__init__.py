"""Tables in, one row of features per applicant out, as Ibis expressions; knows no model."""

from credit.features.build import FeatureSet, build, express, load
from credit.features.dictionary import Feature, definitions, select

__all__ = ["Feature", "FeatureSet", "build", "definitions", "express", "load", "select"]
