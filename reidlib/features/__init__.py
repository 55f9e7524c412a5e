"""Lesson 03: from crops to vectors. It stands above lesson 04's folder, model, because an extractor
is a trained network made ready: the one place where the house and the syllabus differ."""
