from .compare import PEERS, Comparison, compare
from .measure import Measurement, measure, random_inputs
from .profile import OpTime, profile

__all__ = ["PEERS", "Comparison", "Measurement", "OpTime", "compare", "measure", "profile", "random_inputs"]
