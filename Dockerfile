# One image for the panel, the worker, the scheduler and the commands (`utm-mail`).
FROM python:3.12-slim AS wheel
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /dist .

FROM python:3.12-slim
# The volumes of docker-compose.yml get the owner that these directories have.
RUN useradd --uid 5000 --no-create-home --home-dir /data vmail \
    && install --directory --owner vmail --group vmail --mode 700 /data /data/mail
COPY --from=wheel /dist /dist
RUN pip install --no-cache-dir "$(echo /dist/utm_mail-*.whl)[postgres,server]"

ENV UTM_MAIL_DATA=/data PYTHONUNBUFFERED=1
USER vmail
WORKDIR /data
VOLUME /data
EXPOSE 8000
CMD ["utm-mail", "up", "--host", "0.0.0.0"]
