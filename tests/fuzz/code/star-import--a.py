from keras.layers import *
from . import x
from .. import *
import a.b.c as d
