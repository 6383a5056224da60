import theano
print 1
