"""Lesson 04: learning to tell people apart. Networks, losses, training, and fair scores."""
