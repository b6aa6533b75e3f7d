"""The parts of `smollm2_tree.py`: recipes, texts, training, and changes of weights."""
