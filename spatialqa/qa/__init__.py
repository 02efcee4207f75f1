"""Scene -> questions and answers. Reads geometry and labels, never audio."""
