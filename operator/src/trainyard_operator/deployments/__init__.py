"""Deployment: the version it follows, served by a child per digest behind one Service."""
