print "a", b
print >>f, x
