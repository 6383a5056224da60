import tensorflow as tf
tf.xy
