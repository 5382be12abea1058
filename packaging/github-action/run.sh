#!/usr/bin/env bash
# Runs the commands in SWTPM_ACTION_RUN with a TPM, as the other SWTPM_ACTION_ variables say.
set -euo pipefail

[ -n "${SWTPM_ACTION_RUN-}" ] || exit 0

refuse() {
  echo "::error title=swtpm::$1"
  exit 1
}

# flag NAME VALUE: whether it is set.
flag() {
  case $2 in
    true) return 0 ;;
    false | '') return 1 ;;
    *) refuse "$1 is \"$2\", and has to be true or false" ;;
  esac
}

options=()
root=()
case ${SWTPM_ACTION_TPM_VERSION:-2.0} in
  2 | 2.0) ;;
  1.2) options+=(--tpm12) ;;
  *) refuse "tpm-version is \"$SWTPM_ACTION_TPM_VERSION\", and has to be 2.0 or 1.2" ;;
esac
if flag with-ek-cert "${SWTPM_ACTION_WITH_EK_CERT-}"; then options+=(--with-ek-cert); fi
if flag device "${SWTPM_ACTION_DEVICE-}"; then
  options+=(--device)
  # With the PATH of the step, where Node is, and what the commands may find in the environment.
  [ "$(id -u)" = 0 ] || root=(sudo --preserve-env env "PATH=$PATH")
  for module in tpm_vtpm_proxy cuse; do
    if "${root[@]}" modprobe --quiet "$module"; then break; fi
  done
fi
if [ -n "${SWTPM_ACTION_STATE-}" ]; then options+=(--state "$SWTPM_ACTION_STATE"); fi
while IFS= read -r rule; do
  if [ -n "${rule//[[:space:]]/}" ]; then options+=(--fault "$rule"); fi
done <<<"${SWTPM_ACTION_FAULT-}"

# As GitHub runs the commands of a step.
exec "${root[@]}" swtpm run "${options[@]}" -- bash --noprofile --norc -eo pipefail -c "$SWTPM_ACTION_RUN"
