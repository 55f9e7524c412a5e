"""From linear light to the picture a cheap surveillance camera would store."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np


@dataclass(frozen=True)
class Sensor:
    """The nuisances of one camera; defaults are a good daylight camera."""

    white: tuple[float, float, float] = (1.0, 1.0, 1.0)
    exposure: float = 1.0
    gamma: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    noise: float = 0.01
    blur: float = 0.4
    sharpen: float = 0.3
    vignette: float = 0.12
    jpeg: int = 0  # quality; 0 leaves compression to the video encoder

    def but(self, **changes) -> Sensor:
        return replace(self, **changes)


# Automatic exposure and white balance have done most of their work; what is left differs by camera.
PLAZA = {
    "c1": Sensor(exposure=0.95, noise=0.013, blur=0.6),
    "c2": Sensor((1.03, 1.0, 0.96), 0.87, saturation=0.93, noise=0.018, blur=0.75),
    "c3": Sensor((0.98, 0.995, 1.02), 1.1, contrast=1.03, saturation=0.9, noise=0.017, blur=0.9),
    "c4": Sensor((1.0, 1.0, 1.05), contrast=0.95, saturation=0.95, noise=0.016, blur=0.7),
    "c5": Sensor((0.97, 1.01, 1.03), 1.05, contrast=0.95, saturation=0.9, noise=0.022, blur=0.8),
    "c6": Sensor((0.99, 0.98, 1.03), 1.08, contrast=0.93, saturation=0.88, noise=0.02, blur=1.0),
}


def sample(rng: np.random.Generator) -> Sensor:
    """A random camera, from good to poor."""
    bad = rng.beta(1.3, 2.0)
    warm, green = rng.normal(0, 0.13), rng.normal(0, 0.05)
    return Sensor(
        white=(float(np.exp(warm)), float(np.exp(green)), float(np.exp(-warm))),
        exposure=float(np.exp(rng.normal(0, 0.27))),
        gamma=float(np.exp(rng.normal(0, 0.14))),
        contrast=float(rng.uniform(0.7, 1.15)),
        saturation=float(rng.uniform(0.5, 1.2)),
        noise=float(0.004 + 0.035 * bad * rng.random()),
        blur=float(0.25 + 1.2 * bad * rng.random()),
        sharpen=float(rng.choice([0.0, 0.4, 0.9])),
        vignette=float(rng.uniform(0, 0.3)),
        jpeg=int(rng.integers(35, 96)),
    )


def sample_rough(rng: np.random.Generator) -> Sensor:
    """A random camera as they hang in streets: hard contrast, crushed blacks, sharpened, coarse."""
    bad = rng.beta(1.3, 2.0)
    warm, green = rng.normal(0, 0.09), rng.normal(0, 0.04)
    return Sensor(
        white=(float(np.exp(warm)), float(np.exp(green)), float(np.exp(-warm))),
        exposure=float(np.exp(rng.normal(0.05, 0.27))),
        gamma=float(np.exp(rng.normal(0.1, 0.2))),
        contrast=float(rng.uniform(0.85, 1.5)),
        saturation=float(rng.uniform(0.5, 1.3)),
        noise=float(0.004 + 0.035 * bad * rng.random()),
        blur=float(0.25 + 1.0 * bad * rng.random()),
        sharpen=float(rng.choice([0.0, 0.5, 1.2, 2.2])),
        vignette=0.0,
        jpeg=int(rng.integers(22, 95)),
    )


def tone(light: np.ndarray) -> np.ndarray:
    """Linear light to display values 0..1: a filmic shoulder (Narkowicz, 2015), then gamma 2.2."""
    x = np.maximum(light, 0) * 0.72
    x = x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14) * 0.97
    return np.clip(x, 0, 1) ** np.float32(1 / 2.2)


def develop(
    light: np.ndarray, sensor: Sensor, rng: np.random.Generator, vignette: bool = True
) -> np.ndarray:
    """Linear light (H, W, 3) to the camera's picture, uint8 RGB (H, W, 3)."""
    height, width = light.shape[:2]
    picture = tone(light * np.float32(sensor.white) * np.float32(sensor.exposure))
    grey = picture @ np.float32([0.3, 0.59, 0.11])
    picture = grey[..., None] + (picture - grey[..., None]) * np.float32(sensor.saturation)
    picture = (np.clip(picture, 0, 1) ** np.float32(sensor.gamma) - 0.5) * np.float32(
        sensor.contrast
    ) + 0.5
    if vignette and sensor.vignette:
        y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        picture = picture * (1 - sensor.vignette * (x * x + y * y) / 2).astype("f4")[..., None]
    picture = np.ascontiguousarray(picture, "f4")
    if sensor.blur > 0.2:
        picture = cv2.GaussianBlur(picture, (0, 0), sensor.blur)
    fine = rng.standard_normal((height, width, 3), dtype=np.float32)
    coarse = rng.standard_normal((height // 2 + 1, width // 2 + 1, 3), dtype=np.float32)
    coarse = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    picture += (
        np.float32(sensor.noise) * (fine + coarse) * (1.25 - 0.6 * picture)
    )  # dark areas are noisier
    if sensor.sharpen:
        picture += sensor.sharpen * (picture - cv2.GaussianBlur(picture, (0, 0), 1.0))
    picture = (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
    return compress(picture, sensor.jpeg) if sensor.jpeg else picture


def compress(picture: np.ndarray, quality: int) -> np.ndarray:
    """What JPEG of that quality leaves of an RGB picture."""
    stored = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.ascontiguousarray(cv2.imdecode(stored, cv2.IMREAD_COLOR)[..., ::-1])
