"""Reading an answer: one notation, and its mathematics told from the words around it."""
