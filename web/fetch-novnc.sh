#!/bin/sh
# Fetches the noVNC that package-lock.json pins and lays its modules and
# licences into static/novnc, from where they are built into the program.
# Run by "go generate ./web".
set -eu
cd "$(dirname "$0")"

if ! command -v npm >/dev/null 2>&1; then
	echo "npm is missing: install Node.js 18 or later with npm, then run this again" >&2
	exit 1
fi

npm ci --ignore-scripts --no-audit --no-fund --loglevel=error

from=node_modules/@novnc/novnc
new=static/novnc.new
rm -rf "$new"
mkdir -p "$new"
cp -R "$from/core" "$from/vendor" "$from/LICENSE.txt" "$from/AUTHORS" "$new/"
mkdir "$new/docs"
cp "$from"/docs/LICENSE.* "$new/docs/"
# A tree that is complete takes the place of the old one, so that a run that
# was cut short leaves nothing that looks finished.
rm -rf static/novnc
mv "$new" static/novnc
