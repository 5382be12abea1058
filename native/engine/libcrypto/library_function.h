// Finds the libcrypto function that one of ours stands in front of: README.md in this folder.
#pragma once

#include <dlfcn.h>

namespace swtpm {

// The function `name` of the libraries loaded after the program, which is libcrypto's own. It exists, since
// the engine was compiled with the headers of that libcrypto.
template <typename Function>
Function* library_function(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace swtpm
