setup(install_requires={1: 2}, python_requires=3, classifiers=None, **x)
