import tensorflow as tf
a = b
b = a
tf = tf
tf = tf.contrib
