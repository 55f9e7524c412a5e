"""Lesson 02: from frames to tracks. Detectors, a tracker written to be read, and its scores."""
