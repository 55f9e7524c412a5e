"""Lesson 01: from a camera to a data set. Video, quality, cameras, privacy, labels, data sets."""
