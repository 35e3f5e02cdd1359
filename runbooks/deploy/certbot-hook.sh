#!/bin/sh
# Copies a renewed certificate to where dualgram's service may read it.
#
# certbot keeps its own for root alone. Put this, executable, into
# /etc/letsencrypt/renewal-hooks/deploy/, with your own name; name the copies in
# webhook.tls, and install the service with `dualgram service install --group
# ssl-cert`. dualgram notices the new pair within seconds and drops no connection.
set -eu

name=bot.example.com
group=ssl-cert
to=/etc/dualgram/tls

[ "${RENEWED_LINEAGE##*/}" = "$name" ] || exit 0
install -d -m 0755 "$to"
# The key first: dualgram takes the pair only once the two belong together.
install -m 0640 -g "$group" "$RENEWED_LINEAGE/privkey.pem" "$to/privkey.pem"
install -m 0644 "$RENEWED_LINEAGE/fullchain.pem" "$to/fullchain.pem"
