x = """never closed
print "a"
