"""What the property tests share: a reproducible profile of Hypothesis, and image ids."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from wsgcn.data.names import id_problem

settings.register_profile("wsgcn", deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
settings.load_profile("wsgcn")

IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60).filter(lambda i: not id_problem(i))
