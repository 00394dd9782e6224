"""Maintainers' scripts: the notebook builder, its checks and a pytest plugin. Nothing here is installed or imported by the course."""
