"""Lesson 05: the same person, elsewhere. Galleries, links across cameras, films and the report."""
