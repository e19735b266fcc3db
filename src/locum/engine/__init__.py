"""A run becomes steps: `loop` decides, `recorder` writes, `journal` tells."""
