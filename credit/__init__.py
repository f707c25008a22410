"""Credit scoring for thin files: raw tables in, a gated, registered and explained model out."""

__version__ = "0.1.0"
METAFLOW_PACKAGE_POLICY = "include"
