"""Every figure of the course, one module a lesson: pure functions that return a Figure."""
