// The arguments of an engine as they come in a message: words, each followed by a NUL. It needs no C++
// library.
#pragma once

#include <stddef.h>
#include <string.h>

namespace swtpm {

// Refers to bytes, of which the last one is a NUL.
struct Arguments {
  static constexpr size_t kMost = 128;

  char* begin = nullptr;
  char* end = nullptr;

  // Fills in what main() gets: the program, the words, a null pointer. Returns argc; 0: they are too many.
  int list(const char* program, char* (&argv)[kMost]) const {
    size_t count = 0;
    argv[count++] = const_cast<char*>(program);
    for (char* word = begin; word != end; word = after(word)) {
      if (count + 1 == kMost) return 0;
      argv[count++] = word;
    }
    argv[count] = nullptr;
    return static_cast<int>(count);
  }

  // What follows the word `name`; empty where it is not there.
  const char* value_of(const char* name) const {
    for (char* word = begin; word != end; word = after(word))
      if (strcmp(word, name) == 0 && after(word) != end) return after(word);
    return "";
  }

 private:
  static char* after(char* word) { return word + strlen(word) + 1; }
};

}  // namespace swtpm
