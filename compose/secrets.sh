#!/bin/sh
# Makes the secrets of docker-compose.yaml, each a file with one random value. One that is there is left as it is.
#
#     sh compose/secrets.sh            # in ./secrets, or in WALL_SECRETS
set -eu

folder=${WALL_SECRETS:-secrets}
mkdir -p "$folder"
# Services run as users of their own and must read the files; the folder keeps the other users of this host out.
chmod 700 "$folder"

make_secret() { # name, value: written under another name first, so that no half of it is ever used
  [ -s "$folder/$1" ] && return
  printf '%s' "$2" >"$folder/.$1"
  chmod 444 "$folder/.$1"
  mv "$folder/.$1" "$folder/$1"
  echo "made $folder/$1"
}

random() { # letters and digits only, as passwords go into URLs; as long as the JWT secret should be
  dd if=/dev/urandom bs=128 count=1 2>/dev/null | base64 | tr -dc 'A-Za-z0-9' | cut -c1-64
}

for name in api_secret_key jwt_secret postgres_password redis_password grafana_password; do
  make_secret "$name" "$(random)"
done
make_secret fernet_key "$(dd if=/dev/urandom bs=32 count=1 2>/dev/null | base64 | tr '+/' '-_')"
