// Reads steps, one letter each (p: power on, r: resumed, h: hand over), and prints for each of them whether it is
// allowed and whether the TPM may be used afterwards.
#include "engine/tpm/succession.h"

#include <cstdio>

using swtpm::Succession;

int main() {
  Succession succession;
  for (int letter = getchar(); letter != EOF; letter = getchar()) {
    Succession::Step step = letter == 'p'   ? Succession::Step::kPowerOn
                            : letter == 'r' ? Succession::Step::kResumed
                                            : Succession::Step::kHandOver;
    bool allowed = succession.take(step);
    printf("%c %s %s\n", letter, allowed ? "allowed" : "refused", succession.owns_tpm() ? "owns" : "left");
  }
}
