# The words that this program takes are above; below is how they are offered.
#
# An argument is described by its kind, the word behind it by a second one: "FILE", "a|b|c", "- FILE". A kind is FILE,
# DIR, USER, GROUP, RULE, WHEN or MODE (what --fault, --grep and --mode take), a choice of words, or - for what cannot be guessed. A list of sub-options is "LIST" and, for each one,
# NAME (a flag), NAME=KIND (needs a value) or NAME?KIND (may have one).

# Offers those words that go on from what has been typed, without the part that bash has cut off at "=" or ":".
_@program@_offer() {
  local candidate
  for candidate; do
    [[ $candidate == "$word"* ]] && COMPREPLY+=("${candidate:${#cut}}")
  done
}

# Offers values of a kind; $1 is in front of them in the same word.
_@program@_values() {
  local lead=$1 kind=$2 value=${word:${#1}} found=() index
  case $kind in
    - | '') return ;;
    FILE) mapfile -t found < <(compgen -f -- "$value") ;;
    DIR) mapfile -t found < <(compgen -d -- "$value") ;;
    USER) mapfile -t found < <(compgen -u -- "$value") ;;
    GROUP) mapfile -t found < <(compgen -g -- "$value") ;;
    RULE)
      # Only the program knows.
      compopt -o nospace 2>/dev/null
      mapfile -t found < <(swtpm --get-yargs-completions swtpm socket --fault "$value" 2>/dev/null)
      ;;
    MODE)
      compopt -o nospace 2>/dev/null
      mapfile -t found < <(swtpm --get-yargs-completions swtpm socket --mode "$value" 2>/dev/null)
      ;;
    WHEN)
      compopt -o nospace 2>/dev/null
      mapfile -t found < <(swtpm --get-yargs-completions swtpm trace --grep "$value" 2>/dev/null)
      ;;
    *) IFS='|' read -ra found <<<"$kind" ;;
  esac
  if [[ $kind == FILE || $kind == DIR ]]; then
    # Has bash quote what needs it, and put a slash behind directories, unless something is in front of their names.
    compopt -o filenames 2>/dev/null
    for index in "${!found[@]}"; do
      ((${#lead} > ${#cut})) && [[ -d ${found[index]} ]] && found[index]+=/
    done
  fi
  ((${#found[@]})) && _@program@_offer "${found[@]/#/$lead}"
}

# Offers how a list of sub-options goes on: a name that is not there yet, or a value of the last one.
_@program@_list() {
  local lead=$1 list=${word:${#1}} entry name
  shift
  local item=${list##*,}
  local done=${list%"$item"}
  # A comma may follow whatever is chosen here.
  compopt -o nospace 2>/dev/null
  for entry; do
    name=${entry%%[=?]*}
    if [[ $item == "$name="* ]]; then
      [[ $entry == "$name" ]] || _@program@_values "$lead$done$name=" "${entry#"$name"[=?]}"
    elif [[ $item != *=* && ,$done != *",$name,"* && ,$done != *",$name="* ]]; then
      [[ $entry == "$name="* ]] && name+==
      _@program@_offer "$lead$done$name"
    fi
  done
}

# Offers an argument of the option whose description is $2, in a word that begins with $1.
_@program@_argument() {
  local lead=$1 description
  read -ra description <<<"$2"
  if [[ ${description[0]} == LIST ]]; then
    _@program@_list "$lead" "${description[@]:1}"
  else
    _@program@_values "$lead" "${description[0]}"
  fi
}

_@program@() {
  local words word cut rest delimiter command='' count description second index operands
  COMPREPLY=()
  # Not from COMP_WORDS, which are cut at "=" and ":".
  # shellcheck disable=SC2162 # backslashes mean here what they mean on a command line
  read -a words <<<"${COMP_LINE:0:COMP_POINT}"
  [[ ${COMP_LINE:0:COMP_POINT} == *[[:blank:]] ]] && words+=('')
  count=${#words[@]}
  word=${words[count - 1]}
  rest=$word
  for delimiter in = :; do
    [[ $COMP_WORDBREAKS == *"$delimiter"* ]] && rest=${rest##*"$delimiter"}
  done
  cut=${word%"$rest"}

  # The command line of a TPM within another one.
  if ((count > 2)) && _@program@_describes "${words[1]}"; then
    for ((index = 2; index < count - 1; index++)); do
      [[ ${words[index]} == -- ]] || continue
      words=("${words[0]}" "${words[@]:index+1}")
      count=${#words[@]}
      break
    done
  fi
  if ((${#_@program@_commands[@]})); then
    if ((count == 2)); then
      _@program@_offer "${_@program@_commands[@]}"
      return
    fi
    command=${words[1]}
  fi
  if ((count > 2)) && description=$(_@program@_describe "$command" "${words[count - 2]}"); then
    _@program@_argument '' "$description"
    return
  fi
  if ((count > 3)) && description=$(_@program@_describe "$command" "${words[count - 3]}"); then
    read -r _ second <<<"$description"
    if [[ $second && $description != 'LIST '* ]]; then
      _@program@_argument '' "$second"
      return
    fi
  fi
  if [[ $word == -*=* ]] && description=$(_@program@_describe "$command" "${word%%=*}"); then
    _@program@_argument "${word%%=*}=" "$description"
    return
  fi
  read -ra operands <<<"$(_@program@_operands "$command")"
  index=0
  ((${#operands[@]} > 1)) && index=$((count - 3))
  if [[ $word == -* || -z ${operands[index]} ]]; then
    # shellcheck disable=SC2046 # one word each
    _@program@_offer $(_@program@_options "$command")
  else
    _@program@_values '' "${operands[index]}"
  fi
}

complete -F _@program@ @programs@
