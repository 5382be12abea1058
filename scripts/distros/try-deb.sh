#!/bin/sh
# The Debian package: made, checked by lintian, put in the place of Debian's swtpm, upgraded over a running TPM, removed, and purged.
# In a clone of the project that has been built, in a throw-away root (visit.mjs).
set -eu
export DEBIAN_FRONTEND=noninteractive DEBFULLNAME='A Packager' DEBEMAIL=packager@swtpm.example
exec </dev/null

work=$(mktemp -d)
apt() { apt-get -y -q=2 "$@" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }; }

# Debian's own where that is new enough.
bundle=
[ -x /usr/bin/node ] || bundle=--bundle-node
npm run --silent package:deb -- --out="$work" $bundle
lintian --allow-root --tag-display-limit 0 --fail-on error,warning "$work"/*.deb
apt-get update -q=2 || true

echo '* in the place of the C program, with its state'
apt install swtpm swtpm-tools
install -d -o tss -g tss -m 0770 /var/lib/swtpm/mine
swtpm_setup --tpm2 --tpmstate /var/lib/swtpm/mine >/dev/null
apt install "$work"/*.deb
swtpm --version | grep 'for Node.js'
dpkg -s swtpm swtpm-tools 2>/dev/null | grep 'Status: install ok installed' && exit 1
grep -q '^create_certs_tool = /usr/bin/swtpm_localca' /etc/swtpm_setup.conf
apt-get check -q=2
# What asks for Debian's packages gets this one.
apt-get install --simulate -q=2 swtpm-tools
getent passwd tss >/dev/null
[ "$(stat -c %a /var/lib/swtpm-localca)" = 750 ]
cd /
mkdir "$work/state"
swtpm_setup --tpm2 --tpmstate "$work/state" --create-ek-cert --quiet
swtpm run -- true

echo '* upgraded over a running TPM'
swtpm socket --tpm2 --tpmstate dir=/var/lib/swtpm/mine --ctrl type=unixio,path="$work/ctrl" --pid file="$work/pid" \
  --flags startup-clear --daemon
answers() { swtpm_ioctl --unix "$work/ctrl" -g >/dev/null; }
answers
apt install --reinstall "$work"/*.deb
answers
kill -USR2 "$(cat "$work/pid")"
answers

echo '* removed, with the TPM running on'
apt remove swtpm-node
test ! -e /usr/bin/swtpm
kill -0 "$(cat "$work/pid")"
apt install "$work"/*.deb
answers
swtpm_ioctl --unix "$work/ctrl" -s

echo '* purged: nothing is left but the TPM'
apt purge swtpm-node swtpm swtpm-tools swtpm-libs
test -s /var/lib/swtpm/mine/tpm2-00.permall
find /etc /usr /var/lib /run -xdev -name '*swtpm*' ! -path '/usr/local/*' ! -path '/var/lib/swtpm*' \
  ! -path '/var/lib/apt/*' >"$work/left"
if [ -s "$work/left" ]; then
  echo 'left behind:'
  cat "$work/left"
  exit 1
fi
