"""Issue, list and revoke the tokens that Alertmanager's webhook shows."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from remediation.management.arguments import TeachingCommand, find_source, until
from remediation.models import IngestToken

DESCRIPTION = """Issue a token with which an Alertmanager may post alerts in the name of a source.

  manage.py token main alertmanager-1              a token for the source "main"; it is printed once, only its
                                                   hash is stored
  manage.py token main alertmanager-1 --for 90d    one that expires
  manage.py token main alertmanager-1 --revoke     revoke all tokens of that name

In alertmanager.yml (keep the token in a file that only Alertmanager reads):

  receivers:
    - name: homeostat
      webhook_configs:
        - url: http://HOST:8000/api/ingest/alertmanager/
          send_resolved: true
          http_config:
            authorization: {credentials_file: /etc/alertmanager/homeostat-token}"""


class Command(TeachingCommand):
    help = DESCRIPTION

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", help="name of the source that the alerts belong to")
        parser.add_argument("name", help="what you call the token, such as the machine that will hold it")
        parser.add_argument("--for", dest="span", default="", metavar="TIME", help="valid this long: 12h, 90d")
        parser.add_argument("--revoke", action="store_true", help="revoke the tokens of this name instead")

    def handle(self, *, source: str, name: str, span: str, revoke: bool, **options: Any) -> None:
        now = datetime.now(UTC)
        row = find_source(source)
        if revoke:
            count = row.tokens.filter(name=name, revoked_at=None).update(revoked_at=now)
            self.stdout.write(f"Revoked {count} token{'' if count == 1 else 's'} named {name}.")
            return
        token, secret = IngestToken.issue(row, name, expires_at=until(span, now=now))
        self.stderr.write(f"Token {token.name!r} for source {source!r}; it is shown only now:")
        self.stdout.write(secret)
