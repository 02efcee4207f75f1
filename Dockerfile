FROM python:3.12-slim AS build

WORKDIR /src
COPY . .
RUN python -m venv /opt/spatialqa \
    && /opt/spatialqa/bin/pip install --no-cache-dir .

FROM python:3.12-slim

COPY --from=build /opt/spatialqa /opt/spatialqa
ENV PATH=/opt/spatialqa/bin:$PATH \
    OMP_NUM_THREADS=1
RUN useradd --create-home --uid 1000 user
USER 1000
WORKDIR /data
ENTRYPOINT ["spatialqa"]
CMD ["--help"]
