"""Reading free-form answers: directions, quantities, yes or no, options, class names."""
