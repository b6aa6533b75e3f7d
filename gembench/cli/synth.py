"""`gembench synth`: make a calibrated model tree."""

import click

from gembench.data_names import TREE_NAMES
