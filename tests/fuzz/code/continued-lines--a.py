print \
  "a", \
  b
import \
  keras
