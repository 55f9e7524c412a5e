"""How a camera moved from one frame to the next, found in what stands still: the background.

A tracker that predicts in pixels takes a jolt of the camera for a jolt of everybody. BoT-SORT
(Aharon et al., 2022) undoes it before the prediction is compared with boxes, and so may ours; for
a camera that stands, there is nothing to undo, and it is off.
"""

import cv2
import numpy as np

from reidlib.boxes import as_boxes

WIDTH = 320  # pixels to which a picture is shrunk: enough for a shift of a tenth of a box
CORNERS = {"maxCorners": 200, "qualityLevel": 0.01, "minDistance": 7}
LEAST = 12  # corners that have to agree on one motion


class CameraMotion:
    """Called frame after frame, says where each point of the frame before has gone to.

    Corners of the background are followed by optical flow (Lucas and Kanade, 1981), and a shift,
    turn and zoom is fitted to most of them (RANSAC, Fischler and Bolles, 1981).
    """

    def __init__(self):
        self.grey: np.ndarray | None = None  # of the frame before, shrunk
        self.corners: np.ndarray | None = None  # (N, 1, 2) there, on nobody

    def __call__(self, image: np.ndarray, people=()) -> np.ndarray:
        """Return (2, 3): times (x, y, 1) in the frame before, it gives the place in `image`.

        `image` is RGB; `people` are boxes (N, 4) in it, which move by themselves and do not count.
        The first frame, one of another size, and one in which too few corners agree (a blank wall,
        a cut) are taken to have moved nowhere.
        """
        shrink = min(WIDTH / image.shape[1], 1)
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        grey = cv2.resize(grey, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        motion = self._motion(grey)
        motion[:, 2] /= shrink
        background = np.full_like(grey, 255)
        for x1, y1, x2, y2 in np.maximum(as_boxes(people) * shrink, 0).astype(int):
            background[y1 : y2 + 1, x1 : x2 + 1] = 0
        self.grey, self.corners = grey, cv2.goodFeaturesToTrack(grey, mask=background, **CORNERS)
        return motion

    def _motion(self, grey: np.ndarray) -> np.ndarray:
        still = np.eye(2, 3)
        if self.corners is None or self.grey.shape != grey.shape:
            return still
        found, known, _ = cv2.calcOpticalFlowPyrLK(self.grey, grey, self.corners, None)
        before, after = self.corners[known == 1], found[known == 1]
        if len(before) < LEAST:
            return still
        motion, agree = cv2.estimateAffinePartial2D(before, after, ransacReprojThreshold=1.0)
        return still if motion is None or agree.sum() < LEAST else motion
