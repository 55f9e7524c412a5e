"""Person re-identification, from raw video to the same person in the other camera.

A folder a lesson: collection, detection, features, model, demonstration. Each module in them is one
idea and is imported by name: ``from reidlib.collection import video``.
"""

__version__ = "0.1.0"
