#include "engine/channel/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include <string_view>

namespace swtpm {
namespace {

bool parse_number(const char* text, int base, uint64_t max, uint64_t& out) {
  char* end = nullptr;
  out = strtoull(text, &end, base);
  return *text >= '0' && *text <= '9' && *end == '\0' && out <= max;
}

template <typename T>
struct Choice {
  std::string_view name;
  T value;
};

template <typename T, size_t N>
bool choose(std::string_view text, const Choice<T> (&choices)[N], T& out) {
  for (const auto& choice : choices) {
    if (choice.name != text) continue;
    out = choice.value;
    return true;
  }
  return false;
}

constexpr Choice<TpmVersion> kVersions[] = {{"1.2", TpmVersion::k12}, {"2", TpmVersion::k20}};
constexpr Choice<Backend> kBackends[] = {{"dir", Backend::kDir}, {"linear", Backend::kLinear}};
constexpr Choice<SeccompAction> kActions[] = {
    {"none", SeccompAction::kNone}, {"log", SeccompAction::kLog}, {"kill", SeccompAction::kKill}};

}  // namespace

std::optional<Options> parse_options(int argc, char** argv) {
  static const option kLongOptions[] = {
      {"tpm", required_argument, nullptr, 't'},         {"backend", required_argument, nullptr, 'b'},
      {"mode", required_argument, nullptr, 'm'},        {"mode-given", no_argument, nullptr, 'M'},
      {"no-sync", no_argument, nullptr, 'S'},           {"backup", no_argument, nullptr, 'B'},
      {"journal", no_argument, nullptr, 'J'},           {"allow-set-locality", no_argument, nullptr, 'a'},
      {"reject-locality-4", no_argument, nullptr, 'r'}, {"no-auto-shutdown", no_argument, nullptr, 'A'},
      {"log-level", required_argument, nullptr, 'l'},   {"log-prefix", required_argument, nullptr, 'p'},
      {"seccomp", required_argument, nullptr, 's'},     {"trace", no_argument, nullptr, 'T'},
      {"print-info", required_argument, nullptr, 'i'},  {nullptr, 0, nullptr, 0},
  };
  Options options;
  uint64_t number = 0;
  optind = 0;  // from the start, also in a fork
  while (true) {
    int index = 0;
    int c = getopt_long(argc, argv, "", kLongOptions, &index);
    if (c == -1) break;
    bool valid = true;
    switch (c) {
      case 't':
        valid = choose(optarg, kVersions, options.version);
        break;
      case 'b':
        valid = choose(optarg, kBackends, options.backend);
        break;
      case 'm':
        valid = parse_number(optarg, 8, 0777, number);
        options.mode = static_cast<mode_t>(number);
        break;
      case 'M':
        options.mode_given = true;
        break;
      case 'S':
        options.sync = false;
        break;
      case 'B':
        options.backup = true;
        break;
      case 'J':
        options.journal = true;
        break;
      case 'a':
        options.allow_set_locality = true;
        break;
      case 'r':
        options.reject_locality_4 = true;
        break;
      case 'A':
        options.auto_shutdown = false;
        break;
      case 'l':
        valid = parse_number(optarg, 10, 1000, number);
        options.log_level = static_cast<unsigned>(number);
        break;
      case 'p':
        options.log_prefix = optarg;
        break;
      case 's':
        valid = choose(optarg, kActions, options.seccomp);
        break;
      case 'T':
        options.trace = true;
        break;
      case 'i':
        valid = parse_number(optarg, 0, UINT32_MAX, number);
        options.print_info = number;
        break;
      default:
        return std::nullopt;  // getopt has said why
    }
    if (!valid) {
      fprintf(stderr, "tpm-engine: Cannot use \"%s\" as --%s\n", optarg, kLongOptions[index].name);
      return std::nullopt;
    }
  }
  if (optind != argc) {
    fprintf(stderr, "tpm-engine: Unexpected argument \"%s\"\n", argv[optind]);
    return std::nullopt;
  }
  return options;
}

}  // namespace swtpm
