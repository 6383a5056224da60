%matplotlib inline
!pip install keras==1.2.2
import keras
print 1
