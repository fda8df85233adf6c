"""What MLflow runs to load the model. A file of its own, so that no pickled code is in the model."""

from mlflow.models import set_model

from wsgcn.serving.model import SegmentationModel

set_model(SegmentationModel())
