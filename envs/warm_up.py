"""Compile what most jobs need, so that not every one of the first jobs does: bytecode, and numba's functions.

envs/install.sh runs it. It shows at once whether what was installed can be imported.
"""

import importlib

import numpy as np

from wsgcn.graph.stencil import matvec, stencil_matrix
from wsgcn.labels.crf import CrfSettings, dense_crf

MODULES = (
    "jinja2 jsonschema matplotlib.pyplot mlflow.store.tracking.sqlalchemy_store pandas pygments.formatters "
    "scipy.sparse.linalg snakemake.cli timm torch"
)

for module in MODULES.split():
    importlib.import_module(module)
dense_crf(np.zeros((4, 4, 3), np.uint8), np.ones((3, 4, 4)), CrfSettings(1, 1, 1, 1, 1, 1))
neighbours = stencil_matrix(3, 3, [(0, 1)], lambda dy, dx: np.ones((3, 2), np.float32), 1)
matvec(neighbours, np.ones(9, np.float32))
