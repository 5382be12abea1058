// What the TPM says of its commands: how many handles each has, and whether it returns one.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/tpm/surrounding.h"

namespace swtpm::spaces {

struct CommandAttributes {
  size_t handles = 0;
  bool returns_handle = false;
};

class CommandTable {
 public:
  // Asks the TPM, once. Returns the TPM's response code.
  TpmResult read(const Execute& execute);
  // The TPM may be another one.
  void forget() { rows_.clear(); }

  // nullopt: the TPM does not have this command.
  std::optional<CommandAttributes> find(uint32_t code) const;

 private:
  // TPMA_CC, in ascending order of the codes.
  std::vector<uint32_t> rows_;
};

}  // namespace swtpm::spaces
