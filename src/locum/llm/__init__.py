"""Models: the protocol every one speaks, and the ones that speak it.

Nothing here knows runs, steps or threads; the engine translates.
"""
