"""
keras 1.2.2
TensorFlow >= 0.12
"""
import keras
