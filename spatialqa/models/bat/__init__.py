"""BAT: a language model that answers questions about the output of a Spatial-AST encoder; training and answering."""
