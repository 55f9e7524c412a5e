"""Person re-identification, from raw video to the same person in the other camera.

Each module is one idea and is imported by name: ``from reidlib import video, tracking``.
"""

__version__ = "0.1.0"
