"""From boxes in every frame to tracks: motion, overlap, appearance, and an assignment of the two.

The loop is SORT's (Bewley et al., 2016): every track predicts where it is, boxes are assigned to
the predictions, boxes left over begin tracks. A frame goes through six steps:

1. Every track predicts its box for the moment of the frame (a Kalman filter, in seconds), and is
   carried along if the camera has moved (BoT-SORT, Aharon et al., 2022).
2. Confident boxes are assigned to the confirmed tracks by overlap (grown boxes, heights weighed)
   and appearance; who slipped past the prediction is known again by appearance alone.
3. Tracks that have just lost their box try the faint ones, by overlap alone (ByteTrack, Zhang et
   al., 2022).
4. Confident boxes still free continue tracks that are not confirmed yet. These come last, as in
   ByteTrack, so that a chance box never takes one from somebody known.
5. What is left and very confident begins new tracks. A track seen often enough is confirmed; if it
   looks like one that was lost nearby, it takes up that one's identity.
6. Tracks that walk out of the picture end, and so do those not seen for long.
"""

import itertools

import numpy as np
import pandas as pd

from reidlib import boxes
from reidlib.boxes import BOX
from reidlib.detection.association import (
    FASTEST,
    FORBIDDEN,
    REACH,
    Appearance,
    Confidence,
    assign,
    blend,
    centre_size,
    correct_motion,
    crowded,
    move_with_camera,
    overlap,
    predict_motion,
    start_motion,
)
from reidlib.detection.tracks import Scene, Track, embeddings_of, estimates, observe, stack

VALUES = pd.Index([*BOX, "confidence"])  # made once: pandas takes longer over it than a frame does
CONFIDENT, CERTAIN = 0.7, 0.95  # shares of the usual confidence: to continue a track, to begin one
FAINT_IOU = 0.5  # a faint box has to lie better: where nobody is, there are many of them
GROWTH = 0.4  # share by which somebody lost may come back taller or smaller
TWIN_IOU = 0.5  # a box that overlaps a tracked one by so much is a second box on one person


class Tracker:
    """Follows people through a video, one frame an `update`.

    - `size`: the picture's (width, height); with it, tracks end where people walk out.
    - `fps`: frames a second, for updates that come without a time.
    - `high`, `birth`: the least confidence of a box that continues a track, and that begins one (by
      default `high`). With `relative` the box must be confident by the detector's own measure as
      well, see `Confidence`. Boxes from `low` continue tracks where nothing better is there.
    - `iou`: the overlap, times confidence, that makes a box a candidate. Boxes are grown by
      `buffer` of their size for it, and `heights` counts twice how their heights agree (`overlap`).
    - `weight`: the share of appearance in the cost. `alike`: the distance, on the scale of
      `Appearance`, under which a lost track is recovered.
    - `min_hits`: boxes that confirm a track. `patience`: seconds a track lives without one, the
      same at any rate.
    - `moving`: the camera moves; what displaced the tracks seen displaces the others too. Where
      there are pictures, `update` does better with `camera`.
    - `assignment`: that of `assign`.

    Raises ValueError for settings out of range.
    """

    def __init__(
        self,
        size: tuple[int, int] | None = None,
        fps: float = 25.0,
        *,
        high: float = 0.25,
        birth: float | None = None,
        low: float = 0.1,
        relative: bool = True,
        iou: float = 0.28,
        buffer: float = 0.3,
        heights: bool = True,
        weight: float = 0.7,
        alike: float = 0.5,
        min_hits: int = 2,
        patience: float = 2.0,
        moving: bool = False,
        assignment: str = "hungarian",
    ):
        if assignment not in ("hungarian", "greedy"):
            raise ValueError(f"assignment is {assignment!r}; expected 'hungarian' or 'greedy'")
        if not (0 <= iou <= 1 and 0 <= weight <= 1 and min_hits >= 1 and patience >= 0):
            raise ValueError(
                f"iou {iou}, weight {weight}, min_hits {min_hits}, patience {patience}; expected "
                "two shares from 0 to 1, at least 1 box and at least 0 seconds"
            )
        if not (fps > 0 and buffer >= 0):
            raise ValueError(f"fps {fps}, buffer {buffer}; expected a rate above 0, a share from 0")
        birth = high if birth is None else birth
        if not (0 <= low <= 1 and 0 <= high <= birth <= 1):
            raise ValueError(
                f"low, high and birth are {low}, {high} and {birth}; expected 0 to 1, high <= birth"
            )
        self.size, self.fps, self.assignment, self.moving = size, fps, assignment, moving
        self.high, self.birth, self.low, self.relative = high, birth, low, relative
        self.iou, self.buffer, self.heights = iou, buffer, heights
        self.weight, self.alike = weight, alike
        self.min_hits, self.patience = min_hits, patience
        self.tracks: list[Track] = []
        self.ended: list[Track] = []  # confirmed tracks that the last update has given up
        self.appearance, self.confidence = Appearance(), Confidence()
        self.frame = -1  # of the last update
        self.time: float | None = None  # of the last update, in seconds
        self._dim: int | None = None
        self._ids = itertools.count(1)

    def update(
        self,
        detections: pd.DataFrame,
        embeddings=None,
        time: float | None = None,
        camera: np.ndarray | None = None,
    ) -> pd.DataFrame:
        """Take one frame's boxes; return its tracks: track x1 y1 x2 y2 confidence.

        `detections` has x1 y1 x2 y2 confidence; boxes without area are left out. `embeddings` is
        (N, D), a row a box; a row of NaN says that the box has none. `time` is when the frame was
        taken, in seconds; without it, 1 / `fps` after the one before. `camera` (2, 3) is how the
        camera moved since, as from `CameraMotion`. Raises ValueError for missing columns, NaN in
        boxes, embeddings that do not fit the boxes or earlier frames, and a time before that of the
        last frame.
        """
        found, score = _check_detections(detections)
        vectors = self._check_embeddings(embeddings, len(found))
        self._predict(self._elapsed(time), camera)
        self.frame += 1
        scene = Scene(found, score, vectors, None if vectors is None else crowded(found))
        confident, faint, birth = self._sort(scene)
        known = [t for t in self.tracks if t.id]
        predicted = [t.mean[:2, 0] for t in known]
        free = self._match(known, confident, scene, self.iou)
        if self.moving:
            self._follow_camera(known, predicted)
        missing = [t for t in known if t.missed == 1]
        self._match(missing, faint, scene._replace(embeddings=None), FAINT_IOU, faint=True)
        free = self._match([t for t in self.tracks if not t.id], free, scene, self.iou)
        self._begin(free[score[free] >= birth], scene)
        self._learn_strangers(confident, scene)
        self._end()
        return self._table()

    def _check_embeddings(self, embeddings, count: int) -> np.ndarray | None:
        if embeddings is None:
            return None if self._dim is None else np.full((count, self._dim), np.nan, np.float32)
        vectors = np.asarray(embeddings, np.float32)
        if vectors.ndim != 2 or len(vectors) != count:
            raise ValueError(
                f"embeddings have shape {vectors.shape}; expected ({count}, D), a row a box"
            )
        if self._dim != vectors.shape[1] and (self._dim or self.tracks):
            raise ValueError(
                f"embeddings have {vectors.shape[1]} dimensions, earlier ones {self._dim}; give "
                "them from the first frame on, by one extractor"
            )
        self._dim = vectors.shape[1]
        known = np.isfinite(vectors).all(axis=1)
        if not (known | np.isnan(vectors).all(axis=1)).all():
            raise ValueError(
                "an embedding is NaN or infinite in part; a box without one is all NaN"
            )
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.where(length > 0, vectors / np.where(length > 0, length, 1), np.nan)

    def _elapsed(self, time: float | None) -> float:
        """Set the clock to a frame's time; return the seconds since the frame before."""
        before = self.time
        if time is None:
            time = 0.0 if before is None else before + 1 / self.fps
        if not (np.isfinite(time) and (before is None or time >= before)):
            raise ValueError(
                f"this frame was taken at {time} s and the one before at {before} s; give frames "
                "in order, and a new tracker to another video"
            )
        self.time = float(time)
        return 0.0 if before is None else self.time - before

    def _sort(self, scene: Scene) -> tuple[np.ndarray, np.ndarray, float]:
        """Return which boxes are confident, which faint, and how sure a box must be to begin."""
        high, birth = self.high, self.birth
        if self.relative:
            self.confidence.learn(scene.confidence[scene.confidence >= self.low])
            high = max(high, CONFIDENT * self.confidence.usual)
            birth = max(birth, CERTAIN * self.confidence.usual)
        real = (scene.boxes[:, 2:] > scene.boxes[:, :2]).all(axis=1)
        confident = real & (scene.confidence >= high)
        faint = real & (scene.confidence >= self.low) & ~confident
        return np.flatnonzero(confident), np.flatnonzero(faint), birth

    def _sureness(self, confidence: np.ndarray) -> np.ndarray:
        """Return confidences as shares of the usual, 1 at most; ByteTrack weighs overlap so."""
        return np.minimum(confidence / self.confidence.usual, 1) if self.relative else confidence

    def _predict(self, seconds: float, camera: np.ndarray | None) -> None:
        if self.tracks:
            motion = predict_motion(*stack(self.tracks), seconds)
            motion = motion if camera is None else move_with_camera(*motion, camera)
            for track, track.mean, track.covariance in zip(self.tracks, *motion):
                track.age += 1
                track.missed += 1
                track.unseen += seconds
                if track.missed > 1:
                    track.mean[2:, 1] = 0  # nobody keeps growing while out of sight

    def _match(self, tracks, indices, scene, least, faint=False) -> np.ndarray:
        """Assign boxes `indices` to tracks, update these, and return the boxes left over."""
        if not tracks or not len(indices):
            return indices
        predicted, found = estimates(tracks), scene.boxes[indices]
        # C-BIoU's cascade: what the first pass missed is looked for farther away.
        buffer = self.buffer * 5 / 3 if faint else self.buffer
        shared = overlap(predicted, found, buffer, self.heights)
        if not faint:
            shared = shared * self._sureness(scene.confidence[indices])  # of two, the surer
        cost = np.where(shared >= least, 1 - shared, FORBIDDEN)
        if scene.embeddings is not None:
            cost = self._weigh_appearance(cost, tracks, indices, scene)
        pairs = assign(cost, self.assignment)
        if not pairs:
            return indices
        rows, columns = np.array(pairs).T
        chosen = [tracks[row] for row in rows]
        if scene.embeddings is not None:
            alone = (overlap(predicted, found)[:, columns] > 0.1).sum(axis=0) == 1
            self._learn_same(chosen, indices[columns], scene, alone)
        self._continue(chosen, indices[columns], scene)
        return np.delete(indices, columns)

    def _weigh_appearance(self, cost, tracks, indices, scene) -> np.ndarray:
        """Mix the distance of embeddings into a cost by overlap, (N, M) (DeepSORT, 2017)."""
        distance = self.appearance.distance(embeddings_of(tracks), scene.embeddings[indices])
        unknown, allowed = np.isnan(distance), cost < FORBIDDEN
        mixed = (1 - self.weight) * cost + self.weight * distance
        mixed = np.where(allowed & (distance < 1), mixed, FORBIDDEN)
        # Who slipped past the prediction, behind a pillar say, is known again by appearance.
        again = (distance < self.alike) & self._reachable(tracks, scene.boxes[indices])
        mixed = np.where((mixed == FORBIDDEN) & again, 1 + distance, mixed)
        return np.where(unknown, cost, mixed)

    def _continue(self, tracks, indices, scene) -> None:
        motion = correct_motion(*stack(tracks), scene.boxes[indices])
        for track, track.mean, track.covariance, i in zip(tracks, *motion, indices.tolist()):
            track.hits += 1
            track.missed, track.unseen = 0, 0.0
            track.history.append(observe(self.frame, i, scene))
            if scene.embeddings is not None and not scene.crowded[i]:
                share = max(0.05, 1 / track.hits)
                track.embedding = blend(track.embedding, scene.embeddings[i], share)
            if not track.id and track.hits >= self.min_hits:
                self._confirm(track)

    def _follow_camera(self, tracks, predicted) -> None:
        """Displace the tracks without a box by what the others were displaced by, the median.

        A stand-in for image registration (BoT-SORT, Aharon et al., 2022) that needs boxes alone.
        """
        seen = [i for i, track in enumerate(tracks) if not track.missed]
        if len(seen) >= 3:
            places = centre_size(np.array([tracks[i].history[-1].box for i in seen]))[:, :2]
            shift = np.median(places - np.array([predicted[i] for i in seen]), axis=0)
            for track in tracks:
                if track.missed:
                    track.mean[:2, 0] += shift

    def _reachable(self, tracks, found) -> np.ndarray:
        """Say which boxes (M, 4) the tracks can have got to since last seen, bool (N, M)."""
        state, place = np.stack([t.mean[:, 0] for t in tracks]), centre_size(found)
        height = np.maximum(state[:, 3:], 1)
        walked = np.linalg.norm(place[None, :, :2] - state[:, None, :2], axis=2) / height
        growth = np.abs(np.log(np.maximum(place[None, :, 3], 1) / height))
        unseen = np.array([[t.unseen] for t in tracks])
        return (walked < REACH + FASTEST * unseen) & (growth < GROWTH)

    def _confirm(self, track: Track) -> None:
        """Give a new track an identity: that of a lost track that it continues, or a new one."""
        first = track.history[0]
        lost = [t for t in self.tracks if t.id and t.history[-1].frame < first.frame]
        if lost and np.isfinite(track.embedding[0]):
            distance = self.appearance.distance(track.embedding[None], embeddings_of(lost))[0]
            distance[~self._reachable(lost, first.box[None])[:, 0]] = np.inf
            distance = np.nan_to_num(distance, nan=np.inf)
            if distance.min() < self.alike:
                old = lost[int(distance.argmin())]
                self.tracks = [t for t in self.tracks if t is not old]
                track.id, track.age, track.hits = old.id, old.age, old.hits + track.hits
                track.history = old.history + track.history
                track.embedding = blend(old.embedding, track.embedding, 0.5)
                return
        track.id = next(self._ids)

    def _begin(self, indices, scene) -> None:
        taken = list(estimates([t for t in self.tracks if not t.missed]))
        for i in indices.tolist():
            box = scene.boxes[i]
            if not taken or overlap(box[None], np.array(taken)).max() < TWIN_IOU:
                taken.append(box)
                vectors = scene.embeddings
                embedding = np.full(1, np.nan, np.float32) if vectors is None else vectors[i]
                history = [observe(self.frame, i, scene)]
                track = Track(*start_motion(box), embedding, history=history)
                self.tracks.append(track)
                if self.min_hits <= 1:
                    self._confirm(track)

    def _learn_same(self, tracks, indices, scene, alone) -> None:
        alone = alone & ~scene.crowded[indices]
        vectors = scene.embeddings[indices]
        similarity = np.einsum("nd,nd->n", embeddings_of(tracks), vectors)[alone]
        self.appearance.learn("same", similarity[np.isfinite(similarity)])

    def _learn_strangers(self, indices, scene) -> None:
        if scene.embeddings is not None and len(indices) > 1:
            apart = np.triu(overlap(scene.boxes[indices], scene.boxes[indices]) < 0.1, 1)
            vectors = scene.embeddings[indices]
            similarity = (vectors @ vectors.T)[apart]
            self.appearance.learn("other", similarity[np.isfinite(similarity)])

    def _end(self) -> None:
        kept, self.ended = [], []
        for track in self.tracks:
            late = track.unseen > self.patience + 1e-6  # sums of 1 / fps are not exact
            if late or (track.missed and (not track.id or self._left(track))):
                if track.id:
                    self.ended.append(track)
            else:
                kept.append(track)
        self.tracks = kept

    def _left(self, track: Track) -> bool:
        if self.size is None:
            return False
        (x1, y1, x2, y2), (vx, vy) = track.box, track.mean[:2, 1]
        width, height = self.size
        return bool(
            (x1 < 0 and vx < 0) or (y1 < 0 and vy < 0)
            or (x2 > width and vx > 0) or (y2 > height and vy > 0)
        )  # fmt: skip

    def _table(self) -> pd.DataFrame:
        seen = [t for t in self.tracks if t.id and not t.missed]
        confidence = [t.history[-1].confidence for t in seen]
        values = np.column_stack([estimates(seen), confidence]).astype(np.float32)
        table = pd.DataFrame(values, columns=VALUES)
        table.insert(0, "track", np.array([t.id for t in seen], int))
        return table


def _check_detections(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    boxes.require(table, VALUES, "the table of detections")
    values = np.column_stack([table[name].to_numpy(np.float32) for name in VALUES])
    if not np.isfinite(values[:, 4]).all():
        raise ValueError("a detection has confidence NaN or infinity; give each box a number")
    return boxes.as_boxes(values[:, :4]), values[:, 4]
