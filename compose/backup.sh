# Written by `make docs` from helm/files/backup.sh.
# Dump the metadata database to $FOLDER and keep the latest $KEEP dumps. $CONNECTION is Airflow's URL of it. Behind
# PgBouncer, $DATABASE_HOST, $DATABASE_PORT and $DATABASE_NAME are those of the database itself.
set -euo pipefail
# SQLAlchemy names the driver too: postgresql+psycopg2://...
url="postgresql://${CONNECTION#*://}"
if [ -n "${DATABASE_HOST:-}" ]; then
  case "$url" in
    *\?*) options="?${url#*\?}" ;;
    *) options="" ;;
  esac
  login="${url%%\?*}"
  url="${login%@*}@$DATABASE_HOST:$DATABASE_PORT/$DATABASE_NAME$options"
fi
file="$FOLDER/airflow-$(date --utc +%Y%m%dT%H%M%SZ).dump"
pg_dump --format=custom --file="$file.part" "$url"
# A dump has its name only when it is whole.
pg_restore --list "$file.part" >/dev/null
mv "$file.part" "$file"
rm -f "$FOLDER"/*.part
ls -1 "$FOLDER"/airflow-*.dump | sort -r | tail -n +"$((KEEP + 1))" | while read -r old; do rm "$old"; done
ls -l "$file"
