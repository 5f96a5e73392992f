# Stands in for prom/prometheus where no image registry answers: Debian's.
FROM python:3.11-slim-bookworm
# hadolint ignore=DL3008
RUN apt-get update -qq && apt-get install -qq -y --no-install-recommends prometheus wget && rm -rf /var/lib/apt/lists/* \
    && install --directory --owner nobody /prometheus
ENTRYPOINT ["/usr/bin/prometheus"]
