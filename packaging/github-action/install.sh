#!/usr/bin/env bash
# Installs swtpm on a runner with Debian or Ubuntu, and Node 20 or later: the package that SWTPM_ACTION_PACKAGE names to npm.
set -euo pipefail

package=${SWTPM_ACTION_PACKAGE-}
[ -n "$package" ] || exit 0

root=()
[ "$(id -u)" = 0 ] || root=(sudo)
"${root[@]}" apt-get update -q=2
"${root[@]}" apt-get install -y -q=2 --no-install-recommends g++ make python3 libtpms-dev libssl-dev libseccomp-dev
# npm 12 runs the install scripts of those that it is told to; earlier ones do not know the option.
npm install --global --no-audit --no-fund --loglevel=error --allow-scripts=swtpm "$package"
swtpm --version
