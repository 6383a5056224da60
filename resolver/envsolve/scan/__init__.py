"""From a repository, a script or a model file to evidence of what it was made for; nothing found is ever executed."""
