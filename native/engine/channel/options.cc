#include "engine/channel/options.h"

#include <stdio.h>
#include <stdlib.h>

namespace swtpm {
namespace {

bool parse_number(const char* text, NumberRule rule, uint64_t& out) {
  char* end = nullptr;
  out = strtoull(text, &end, rule.base);
  return *text >= '0' && *text <= '9' && *end == '\0' && out <= rule.max;
}

// One option as it is on the command line.
class Word {
 public:
  Word(const char* name, const char* value) : name_(name), value_(value) {}

  bool is(std::string_view name) const { return name_ == name; }
  bool known() const { return known_; }
  bool valid() const { return valid_; }
  bool took_value() const { return took_value_; }

  template <typename T, size_t N>
  void apply(T& member, const Choice<T> (&choices)[N]) {
    for (const Choice<T>& choice : choices)
      if (take_value() && choice.name == value_) return accept(member, choice.value);
    valid_ = false;
  }
  template <typename T>
  void apply(T& member, NumberRule rule) {
    uint64_t number = 0;
    valid_ = take_value() && parse_number(value_, rule, number);
    if (valid_) member = static_cast<T>(number);
  }
  void apply(bool& member, bool when) {
    known_ = true;
    member = when;
  }
  void apply(std::string& member) {
    valid_ = take_value();
    if (valid_) member = value_;
  }

 private:
  bool take_value() {
    known_ = took_value_ = true;
    return value_ != nullptr;
  }
  template <typename T>
  void accept(T& member, T value) {
    member = value;
    valid_ = true;
  }

  std::string_view name_;
  const char* value_;
  bool known_ = false;
  bool valid_ = true;
  bool took_value_ = false;
};

}  // namespace

std::optional<Options> parse_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; i++) {
    std::string_view argument = argv[i];
    if (!argument.starts_with("--")) {
      fprintf(stderr, "tpm-engine: Unexpected argument \"%s\"\n", argv[i]);
      return std::nullopt;
    }
    Word word(argv[i] + 2, i + 1 < argc ? argv[i + 1] : nullptr);
    visit_engine_options([&](std::string_view name, auto member, const auto&... rule) {
      if (word.is(name)) word.apply(options.*member, rule...);
    });
    if (word.is("print-info")) {
      options.print_info = 0;
      word.apply(*options.print_info, NumberRule{0, UINT32_MAX});
    }
    if (!word.known()) {
      fprintf(stderr, "tpm-engine: Unknown option \"%s\"\n", argv[i]);
      return std::nullopt;
    }
    if (!word.valid()) {
      fprintf(stderr, "tpm-engine: Cannot use \"%s\" as %s\n", i + 1 < argc ? argv[i + 1] : "", argv[i]);
      return std::nullopt;
    }
    i += word.took_value();
  }
  return options;
}

}  // namespace swtpm
