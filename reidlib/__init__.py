"""Person re-identification, from raw video to the same person in the other camera.

A folder a lesson: collection, detection, features, model, demonstration. Each module in them is one
idea and is imported by name: ``from reidlib.collection import video``.
"""

import sys

__version__ = "0.1.0"

# `import openvino` reports itself to Google Analytics where this package is installed. Whatever
# looks at CCTV must not phone home: without the package OpenVINO uses an empty stand-in for it.
sys.modules.setdefault("openvino_telemetry", None)
