#include "engine/tpm/build_number.h"

#include <elf.h>
#include <libtpms/tpm_library.h>
#include <link.h>
#include <string.h>

#include "common/bytes.h"

namespace swtpm {
namespace {

constexpr size_t kNoteAlignment = 4;

size_t padded(size_t size) {
  return (size + kNoteAlignment - 1) / kNoteAlignment * kNoteAlignment;
}

// The build id in a segment of notes; empty where there is none.
ByteView build_id_in(ByteView notes) {
  ElfW(Nhdr) head;
  while (notes.size() >= sizeof(head)) {
    memcpy(&head, notes.data(), sizeof(head));
    size_t before = sizeof(head) + padded(head.n_namesz);
    size_t size = before + padded(head.n_descsz);
    if (size > notes.size()) break;
    if (head.n_type == NT_GNU_BUILD_ID) return notes.subspan(before, head.n_descsz);
    notes = notes.subspan(size);
  }
  return {};
}

// What is loaded around an address.
struct Wanted {
  uintptr_t address;
  ByteView build_id;
};

int look_at(dl_phdr_info* object, size_t, void* argument) {
  auto& wanted = *static_cast<Wanted*>(argument);
  ByteView build_id;
  bool contains = false;
  for (size_t i = 0; i < object->dlpi_phnum; i++) {
    const auto& part = object->dlpi_phdr[i];
    uintptr_t start = object->dlpi_addr + part.p_vaddr;
    if (part.p_type == PT_LOAD && wanted.address - start < part.p_memsz) contains = true;
    if (part.p_type == PT_NOTE && build_id.empty())
      build_id = build_id_in({reinterpret_cast<const uint8_t*>(start), part.p_memsz});
  }
  if (contains) wanted.build_id = build_id;
  return contains;
}

ByteView build_id_around(uintptr_t address) {
  Wanted wanted{address, {}};
  dl_iterate_phdr(look_at, &wanted);
  return wanted.build_id;
}

}  // namespace

uint32_t build_number() {
  constexpr uint32_t kFnvBasis = 0x811c9dc5;
  constexpr uint32_t kFnvPrime = 0x01000193;
  uint32_t hash = kFnvBasis;
  for (uintptr_t address :
       {reinterpret_cast<uintptr_t>(&build_number), reinterpret_cast<uintptr_t>(&TPMLIB_GetVersion)}) {
    ByteView id = build_id_around(address);
    if (id.empty()) return 0;
    for (uint8_t byte : id) hash = (hash ^ byte) * kFnvPrime;
  }
  return hash;
}

}  // namespace swtpm
