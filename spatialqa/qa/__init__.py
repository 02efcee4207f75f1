"""Questions and answers about scenes; reads geometry and labels, never audio."""
