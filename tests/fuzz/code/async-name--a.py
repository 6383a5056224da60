f(async=True); x.async; async
