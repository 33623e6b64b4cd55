#!/bin/sh
# Fails unless src/wire/gen is what buf makes of the protos now, and buf's linter is content.
set -eu
cd "$(dirname "$0")"
PATH="$PWD/../node_modules/.bin:$PATH"
buf lint
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
buf generate --template "$(sed "s#../src/wire/gen#$fresh#" buf.gen.yaml)"
diff -r "$fresh" ../src/wire/gen || {
  echo "src/wire/gen is not what the protos say: run npm run generate" >&2
  exit 1
}
