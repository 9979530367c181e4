#!/usr/bin/env bash
# First start of the machine: disk, Docker, the services, and a copy of the backups to the bucket each night.
# shellcheck disable=SC2154 # a template: Terraform replaces the names in braces
set -euo pipefail

# The disk may be attached a minute after the start. It is formatted only if it is empty.
for _ in $(seq 60); do
  disk=$(lsblk --noheadings --paths --output NAME,TYPE,MOUNTPOINTS | awk '$2 == "disk" {print $1}' | while read -r name; do
    lsblk --noheadings --output MOUNTPOINTS "$name" | grep -q . || echo "$name"
  done | head -n 1)
  [ -n "$disk" ] && break
  sleep 5
done
[ -n "$disk" ] || { echo "error: no disk was attached" >&2; exit 1; }
blkid "$disk" || mkfs.ext4 -q -L data "$disk"
mkdir -p /srv
grep -q ' /srv ' /etc/fstab || echo "LABEL=data /srv ext4 defaults,nofail 0 2" >>/etc/fstab
mount -a

mkdir -p /etc/docker
echo '{"data-root": "/srv/docker"}' >/etc/docker/daemon.json
apt-get update
DEBIAN_FRONTEND=noninteractive apt-get install --yes docker.io docker-buildx docker-compose-v2 git
snap install aws-cli --classic

[ -d /srv/airflow-wall ] || git clone "${repository}" /srv/airflow-wall
cd /srv/airflow-wall
git checkout --quiet "${revision}"
mkdir -p /srv/backups
[ -e .env ] || cat >.env <<'SETTINGS'
WALL_BACKUP_FOLDER=/srv/backups
WALL_EXTRAS=amazon
COMPOSE_PROFILES=maintenance
AWS_DEFAULT_REGION=${region}
SETTINGS
[ -d secrets ] || sh compose/secrets.sh
docker compose build
docker compose up --detach --wait

# The Fernet key is among the secrets: without it, a dump has no readable connections.
cat >/etc/cron.d/airflow-backup <<'CRON'
30 3 * * * root /snap/bin/aws s3 sync --region ${region} --only-show-errors /srv/backups s3://${bucket}/backups && /snap/bin/aws s3 sync --region ${region} --only-show-errors /srv/airflow-wall/secrets s3://${bucket}/secrets
CRON
