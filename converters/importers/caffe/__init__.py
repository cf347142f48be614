from .layers import LAYERS
from .read import read_caffe

__all__ = ["LAYERS", "read_caffe"]
