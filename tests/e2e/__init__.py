"""The project as shipped, deployed whole: in by HTTP, out by mail, nothing of ours replaced."""
