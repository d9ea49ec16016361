# One image for the panel, the worker, the scheduler and the commands.
FROM python:3.12-slim

RUN useradd --uid 5000 --create-home --home-dir /data vmail
WORKDIR /app
COPY pyproject.toml README.md LICENSE manage.py ./
COPY utm_mail utm_mail
COPY fetchrules fetchrules
COPY templates templates
COPY static static
COPY docs docs
RUN pip install --no-cache-dir --editable '.[postgres,server]'

ENV UTM_MAIL_DATA=/data PYTHONUNBUFFERED=1
USER vmail
VOLUME /data
EXPOSE 8000
CMD ["python", "manage.py", "up", "--host", "0.0.0.0"]
