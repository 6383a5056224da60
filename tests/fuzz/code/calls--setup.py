from setuptools import setup
import os
os.system("touch /tmp/never")
R = ["keras==1.2.2"]
setup(install_requires=R + ["x" "y"], python_requires=">=2.7", classifiers=["Programming Language :: Python :: 2.7"])
