# The command line, for one machine or as a worker of many: notebooks/SCALE.md. CPU only.
#
#   docker build --tag reidlib .
#   docker run --rm --volume "$PWD/footage:/footage" reidlib demo /footage/door.mp4 --out /footage/demo
FROM python:3.12-slim-bookworm AS built
WORKDIR /course
COPY requirements.txt pyproject.toml README.md LICENSE ./
COPY reidlib reidlib
COPY data data
# PyTorch's CPU wheels: without CUDA the image is 5 GB smaller.
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu \
        "torch>=2.2" "torchvision>=0.17" \
    && /venv/bin/pip install --no-cache-dir ".[scale]"

FROM python:3.12-slim-bookworm
# OpenCV's wheel looks for libGL and GLib, for windows that nobody opens here.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 course
COPY --from=built /venv /venv
# What is written besides results goes to /tmp, which any user may write to.
ENV PATH="/venv/bin:$PATH" \
    REIDLIB_CACHE=/tmp/reidlib MPLCONFIGDIR=/tmp/matplotlib \
    OMP_NUM_THREADS=1 PYTHONUNBUFFERED=1
USER 1000
WORKDIR /footage
ENTRYPOINT ["python", "-m", "reidlib"]
CMD ["--help"]
