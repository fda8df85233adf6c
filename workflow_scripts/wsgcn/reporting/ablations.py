"""The files that set experiments side by side: three tables and two charts."""

from dataclasses import astuple, dataclass

import pandas as pd

from wsgcn.evaluation.ablations import Ablations
from wsgcn.files import atomic_write
from wsgcn.reporting.comparison_figures import ablation_chart, class_chart
from wsgcn.reporting.figures import save_figure


@dataclass(frozen=True)
class AblationFiles:
    """Where the tables (.csv) and charts (.png) are written."""

    table: str
    pairs: str
    class_table: str
    chart: str
    classes: str

    def paths(self) -> tuple[str, ...]:
        """All of them, tables first."""
        return astuple(self)


def write_ablations(files: AblationFiles, ablations: Ablations) -> None:
    """Write each file atomically."""
    tables = {
        files.table: pd.DataFrame(ablations.rows),
        files.pairs: pd.DataFrame(ablations.further),
        files.class_table: pd.DataFrame.from_dict(ablations.class_iou, orient="index").reset_index(names="experiment"),
    }
    for output, table in tables.items():
        with atomic_write(output) as path:
            table.to_csv(path, index=False, float_format="%.4f")
    scored = [row for row in ablations.rows if row["miou"] is not None]
    save_figure(files.chart, ablation_chart(scored), dpi=200)
    save_figure(files.classes, class_chart(ablations.class_iou), dpi=200)
