"""Marks of tests about what one of the two databases alone does."""

from __future__ import annotations

import pytest

on_sqlite = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("url", ["postgresql"], indirect=True)
