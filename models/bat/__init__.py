"""BAT: a language model that answers questions about what a Spatial-AST encoder hears; its training and answers."""
