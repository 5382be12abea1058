#!/bin/sh
# The npm package as its users have it: packed, installed for all and in a project, used and imported. In a clone of the project that
# has been built, in a throw-away root (visit.mjs).
set -eu

work=$(mktemp -d)
npm pack --pack-destination "$work" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
packed=$(echo "$work"/swtpm-*.tgz)

# npm 12 runs the install scripts of those that it is told to, a packed file's by its whole path: for all by an option, in a
# project by its package.json. Earlier ones do not know of it.
allowed=file:$packed,ioctl
install() { npm install --no-audit --no-fund --loglevel=error "$@" "$packed"; }

# fails TEXT COMMAND…: it must fail and say that, in a few lines.
fails() {
  text=$1
  shift
  if "$@" >"$work/said" 2>&1; then
    echo "\"$*\" did not fail"
    exit 1
  fi
  if ! grep -qF -- "$text" "$work/said" || [ "$(wc -l <"$work/said")" -gt 12 ]; then
    echo "\"$*\" should have said \"$text\" and said:"
    cat "$work/said"
    exit 1
  fi
}

echo '* without a compiler'
fails 'apt-get install g++ ' env CXX=/nonexistent npm install --global --prefix "$work/global" --loglevel=error \
  --allow-scripts="$allowed" "$packed"

echo '* for all'
install --global --prefix "$work/global" --allow-scripts="$allowed" >/dev/null
(
  PATH=$work/global/bin:$PATH
  cd /
  swtpm --version
  swtpm_cuse --version
  swtpm run -- sh -c 'swtpm_ioctl --help >/dev/null && test -n "$TPM2TOOLS_TCTI"'
  mkdir "$work/state"
  swtpm_setup --tpm2 --tpmstate "$work/state" --create-ek-cert --quiet
  test -s "$work/state/tpm2-00.permall"
  # npm 12 links no manual pages.
  test -e "$work/global/share/man/man8/swtpm.8" || [ "$(npm --version | cut -d. -f1)" -ge 12 ]
  test -e "$work/global/lib/node_modules/swtpm/dist/share/man/man8/swtpm.8"
)

echo '* in a project, first without install scripts'
mkdir "$work/project"
cd "$work/project"
cat >package.json <<END
{ "name": "project", "version": "1.0.0", "allowScripts": { "file:$packed": true, "ioctl": true } }
END
install --ignore-scripts >/dev/null
fails 'To compile it now' node_modules/.bin/swtpm --version
compile=$(node_modules/.bin/swtpm 2>&1 | sed -n 's/^  node /node /p')
cat >main.mjs <<'END'
import { createTpm } from 'swtpm'
const tpm = await createTpm()
await tpm.close()
END
fails "run \`$compile\`" sh -c 'node main.mjs 2>&1 | grep -m1 Error: && false'
# What this line does has been done once, and takes its time.
cp -r "$work/global/lib/node_modules/swtpm/native/build" node_modules/swtpm/native/
node main.mjs
node_modules/.bin/swtpm --version
